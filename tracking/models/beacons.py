"""Beacons: recorded opens, clicks, sent messages and events.

Generic foreign keys tie a beacon to rows of the site's own models. For the reverse relation, a
model of the site uses Django's ``GenericRelation``::

    class Affiliate(models.Model):
        beacons = GenericRelation(
            "tracking.Beacon",
            content_type_field="source_type",
            object_id_field="source_id",
            related_query_name="affiliate",
        )
"""

from datetime import datetime
from typing import Any, Self

from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind, Reference, uuid7
from tracking.models.base import EnrichmentColumns
from tracking.models.fields import (
    SoftForeignKey,
    SoftGenericForeignKey,
    content_types_for,
)
from tracking.models.indexes import NotNullIndex
from tracking.models.visitors import Visitor


class BeaconQuerySet(models.QuerySet["Beacon"]):
    """Filters of beacons: ``Beacon.objects.opens().for_source(affiliate)``."""

    def opens(self) -> Self:
        """Return loaded pixels."""
        return self.filter(kind=Kind.OPEN)

    def clicks(self) -> Self:
        """Return followed links."""
        return self.filter(kind=Kind.CLICK)

    def sent(self) -> Self:
        """Return sent messages."""
        return self.filter(kind=Kind.SENT)

    def events(self, name: str | None = None) -> Self:
        """Return what the site has recorded by :func:`tracking.record`.

        Args:
            name: the name of the events; by default all.
        """
        rows = self.filter(kind=Kind.EVENT)
        return rows if name is None else rows.filter(event_name=name)

    def humans(self) -> Self:
        """Return the beacons of people: what reports count as confirmed opens and as clicks.

        Mail proxies and machines are left out.
        """
        return self.filter(verdict=Label.HUMAN)

    def people(self) -> Self:
        """Return the beacons that show a person at work: what reports count as opens and clicks.

        These are :meth:`humans`, and images that a mail provider loaded for its reader.
        """
        return self.filter(
            models.Q(verdict=Label.HUMAN) | models.Q(verdict=Label.PROXY, kind=Kind.OPEN)
        )

    def since(self, moment: datetime) -> Self:
        """Return the beacons at or after ``moment`` (aware)."""
        return self.filter(time__gte=moment)

    def until(self, moment: datetime) -> Self:
        """Return the beacons before ``moment`` (aware)."""
        return self.filter(time__lt=moment)

    def for_source(self, source: models.Model) -> Self:
        """Return the beacons with this source. Raises ``ValueError`` if it is not saved."""
        return self._with_reference("source", source)

    def for_entity(self, entity: models.Model) -> Self:
        """Return the beacons with this entity. Raises ``ValueError`` if it is not saved."""
        return self._with_reference("entity", entity)

    def for_target(self, target: models.Model) -> Self:
        """Return the beacons with this target. Raises ``ValueError`` if it is not saved."""
        return self._with_reference("target", target)

    def _with_reference(self, role: str, instance: models.Model) -> Self:
        content_type = content_types_for(self.db).get_for_model(instance)
        return self.filter(
            **{f"{role}_type": content_type, f"{role}_id": Reference.to(instance).pk}
        )


def _role_type(verbose_name: Any) -> Any:
    # SET_NULL: a beacon outlives the model that it refers to. The index is the one on
    # (type, id, time) below, which starts with this column. No constraint: checking three content
    # types costs PostgreSQL as much as inserting the row.
    return models.ForeignKey(
        ContentType,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=verbose_name,
    )


def _role_id(verbose_name: Any) -> Any:
    # Text, because keys of any type fit. NULL, not "", because a generic foreign key writes NULL
    # for no object.
    return models.CharField(verbose_name, max_length=255, null=True, blank=True)


class Beacon(EnrichmentColumns):
    """One recorded open, click, sent message or event. Only its verdict may change later."""

    #: Made when the hit is recorded, so saving a hit twice makes one row.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    #: Of an event: "purchase", or the prefix of a page that is a goal. (NULL and not "" for all
    #: others, so that adding the column did not write a large table anew.)
    event_name = models.CharField(_("event"), max_length=100, null=True, blank=True)
    event_value = models.DecimalField(
        _("value"), max_digits=15, decimal_places=2, null=True, blank=True
    )
    time = models.DateTimeField(_("time"), default=timezone.now)

    target_type = _role_type(_("target type"))
    target_id = _role_id(_("target id"))
    target = SoftGenericForeignKey("target_type", "target_id")

    source_type = _role_type(_("source type"))
    source_id = _role_id(_("source id"))
    source = SoftGenericForeignKey("source_type", "source_id")

    entity_type = _role_type(_("entity type"))
    entity_id = _role_id(_("entity id"))
    entity = SoftGenericForeignKey("entity_type", "entity_id")

    data = models.JSONField(
        _("data"),
        default=dict,
        blank=True,
        encoder=DjangoJSONEncoder,
        help_text=_("The arguments of the tag."),
    )
    url = models.TextField(_("URL"), blank=True, help_text=_("The destination of a click."))
    referrer = models.TextField(_("referrer"), blank=True)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.TextField(_("user agent"), blank=True)

    #: The browser, if it is a person's own and the site tracks visitors. Its row may be created
    #: later, or be deleted already.
    visitor = SoftForeignKey(
        Visitor,
        to_field="key",
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="beacons",
        db_index=False,
        verbose_name=_("visitor"),
    )

    objects = BeaconQuerySet.as_manager()

    class Meta:
        verbose_name = _("beacon")
        verbose_name_plural = _("beacons")
        get_latest_by = "time"
        permissions = [("view_full_address", _("Can see full IP addresses"))]
        indexes = [
            models.Index(fields=["time"], name="tracking_beacon_time"),
            models.Index(fields=["kind", "time"], name="tracking_beacon_kind"),
            models.Index(fields=["ip_address", "time"], name="tracking_beacon_address"),
            NotNullIndex(
                fields=["target_type", "target_id", "time"], name="tracking_beacon_target"
            ),
            NotNullIndex(
                fields=["source_type", "source_id", "time"], name="tracking_beacon_source"
            ),
            NotNullIndex(
                fields=["entity_type", "entity_id", "time"], name="tracking_beacon_entity"
            ),
            NotNullIndex(fields=["visitor", "time"], name="tracking_beacon_visitor"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    def reference(self, role: str) -> Reference | None:
        """Return the reference in a role. The row may no longer exist.

        Args:
            role: ``"source"``, ``"entity"`` or ``"target"``.

        Returns:
            The reference, or ``None`` if there is none or its content type was deleted from the
            database.
        """
        type_id, pk = getattr(self, f"{role}_type_id"), getattr(self, f"{role}_id")
        if type_id is None or pk is None:
            return None
        try:
            content_type = content_types_for(self._state.db).get_for_id(type_id)
        except ContentType.DoesNotExist:
            return None
        return Reference(f"{content_type.app_label}.{content_type.model}", pk)
