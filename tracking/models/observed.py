"""What several tables have in common."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.utils.translation import gettext_lazy as _

from tracking.verdicts import Label


class Observed(models.Model):
    """What is concluded from an address and a user agent, when a hit becomes a row."""

    browser = models.CharField(_("browser"), max_length=100, blank=True)
    os = models.CharField(_("operating system"), max_length=100, blank=True)
    device = models.CharField(_("device"), max_length=20, blank=True)

    #: ISO 3166-1, two letters.
    country = models.CharField(_("country"), max_length=2, blank=True)
    region = models.CharField(_("region"), max_length=100, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    latitude = models.FloatField(_("latitude"), null=True, blank=True)
    longitude = models.FloatField(_("longitude"), null=True, blank=True)

    verdict = models.CharField(_("verdict"), max_length=20, choices=Label, default=Label.HUMAN)
    verdict_reason = models.CharField(_("reason of the verdict"), max_length=200, blank=True)

    class Meta:
        abstract = True


class _MayBeGone(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except ObjectDoesNotExist:
            return None


class SoftForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key to a row that may not exist yet, or no longer.

    The column keeps its value, and the attribute is ``None`` as long as there is no such
    row. What it points to can come later, leave earlier, and live in a table that is
    emptied in chunks, without a look at this one.
    """

    forward_related_accessor_class = _MayBeGone

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "db_constraint": False})

    def deconstruct(self) -> Any:
        """Return the field for migrations, which know of its nature."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        return name, path, args, kwargs
