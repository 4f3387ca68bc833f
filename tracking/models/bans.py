"""Who is kept out of the site, and who is not counted."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.client_address import network_of
from tracking.db.column_values import moment
from tracking.signals import address_banned

#: Sent before each change of a table of this module, once for many rows, and within its
#: transaction. What is locked here is locked first by all who change such a table, so that
#: no two of them wait for each other.
#: Arguments: ``sender``, the model; ``using``, the alias of the database.
unwanted_changing = Signal()

#: Sent after it, within the same transaction: a receiver that raises undoes the change.
#: Arguments: ``sender``, the model; ``using``, the alias of the database; ``new``, the
#: instances that have become rows, as far as somebody wants to know.
unwanted_changed = Signal()

#: The years about which all databases and time zones agree. A time that is in the year 9999
#: here may be in the year 10000 there, which PostgreSQL stores and Python cannot read.
YEARS = range(1970, 9999)

M = TypeVar("M", bound=models.Model)


@contextmanager
def _told(
    model: type[models.Model], using: str, new: Sequence[models.Model] = ()
) -> Iterator[None]:
    """Tell of the change that the block makes, in one transaction with it."""
    sender = model._meta.concrete_model
    with transaction.atomic(using=using, savepoint=False):
        unwanted_changing.send(sender=sender, using=using)
        yield
        unwanted_changed.send(sender=sender, using=using, new=new)


class UnwantedQuerySet(models.QuerySet[M]):
    """Rows whose changes are told, also those that Django sends no signal for."""

    def update(self, **values: Any) -> int:
        """Update the rows, as Django does. Where there are none, nothing is told."""
        if not self._has_rows():
            return models.QuerySet.update(self.none(), **values)
        with self._told():
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows, as Django does. Where there are none, nothing is told."""
        if not self._has_rows():
            return models.QuerySet.delete(self.none())
        with self._told():
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert the rows, as Django does."""
        instances = list(objs)
        if not instances:
            return super().bulk_create(instances, *args, **kwargs)
        with self._told(self._new(instances)):
            return super().bulk_create(instances, *args, **kwargs)

    def update_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[M, bool]:
        """Update or insert a row, as Django does, which locks it before it saves it."""
        with self._told():
            return super().update_or_create(defaults, create_defaults, **kwargs)

    def _has_rows(self) -> bool:
        self._for_write = True
        return self.using(self.db).exists()

    def _new(self, instances: Sequence[M]) -> Sequence[M]:
        """Return which of the instances are not rows yet, if somebody wants to know."""
        return ()

    def _told(self, new: Sequence[M] = ()) -> Any:
        self._for_write = True
        return _told(self.model, self.db, new)


class Unwanted(models.Model):
    """A row whose changes are told."""

    class Meta:
        abstract = True

    def save(self, *, using: str | None = None, **options: Any) -> None:
        """Save the row, as Django does."""
        using = using or router.db_for_write(type(self), instance=self)
        with _told(type(self), using, [self] if self._state.adding else []):
            super().save(using=using, **options)

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        """Delete the row, as Django does."""
        using = using or router.db_for_write(type(self), instance=self)
        with _told(type(self), using):
            return super().delete(using=using, keep_parents=keep_parents)


def _tell_of_fixtures(sender: type[models.Model], raw: bool, using: str, **_: Any) -> None:
    # ``loaddata`` goes past save().
    if raw:
        unwanted_changing.send(sender=sender, using=using)
        unwanted_changed.send(sender=sender, using=using, new=())


class NetworkField(models.CharField):  # type: ignore[type-arg]
    """One address or a network in CIDR notation, IPv4 or IPv6, in its canonical spelling."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 43})

    def deconstruct(self) -> Any:
        """Return the field for migrations; its length is its own."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs

    def to_python(self, value: Any) -> Any:
        """Return the canonical spelling: of a network its first address, of an address no ``/32``.

        Raises:
            django.core.exceptions.ValidationError: it is neither.
        """
        if value is None or value == "":
            return value
        text = str(value).strip()
        network = network_of(text)
        if network is None:
            raise ValidationError(
                _("%(value)s is neither an IP address nor a network such as 192.0.2.0/24."),
                params={"value": text},
                code="invalid",
            )
        if network.prefixlen == network.max_prefixlen:
            return str(network.network_address)
        return str(network)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Return what is stored, and leave it with the instance."""
        value = super().pre_save(model_instance, add)
        if not hasattr(value, "resolve_expression"):
            value = self.to_python(value)
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        """Return what is stored and looked up, however the network was spelled."""
        return self.to_python(super().get_prep_value(value))


class BannedIPQuerySet(UnwantedQuerySet["BannedIP"]):
    """Bans, narrowed down in words."""

    def live(self, moment: datetime | None = None) -> Self:
        """Bans that are in force.

        Args:
            moment: when (aware); now by default.
        """
        return self.exclude(expires_at__lte=moment or timezone.now())

    def with_ends(self) -> Self:
        """Add ``ends``, the expiry as far as it can be read: what raw SQL has put further away
        than any calendar goes is none, and one such row does not make all unreadable.
        """
        end_of_time = moment(datetime(YEARS.stop, 1, 1, tzinfo=UTC))
        ends = models.Case(models.When(expires_at__lt=end_of_time, then=models.F("expires_at")))
        return self.annotate(ends=ends)

    def _new(self, instances: Sequence["BannedIP"]) -> Sequence["BannedIP"]:
        if not address_banned.has_listeners(self.model):
            return ()
        by_network = {self._network(instance): instance for instance in instances}
        networks = list(by_network)
        for start in range(0, len(networks), 500):  # as many as any database takes at once
            rows = self.model._base_manager.using(self.db)
            known = rows.filter(network__in=networks[start : start + 500])
            for network in known.values_list("network", flat=True):
                by_network.pop(network, None)
        return list(by_network.values())

    def _network(self, ban: "BannedIP") -> Any:
        return self.model._meta.get_field("network").get_prep_value(ban.network)


class BannedIP(Unwanted):
    """An address or a network that is kept out of the site."""

    network = NetworkField(
        _("network"),
        unique=True,
        help_text=_("An IP address, or a network such as 192.0.2.0/24 or 2001:db8::/32."),
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("banned at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        _("expires at"),
        null=True,
        blank=True,
        help_text=_("From then on the network is let in again. Empty: never."),
    )

    objects = BannedIPQuerySet.as_manager()

    class Meta:
        verbose_name = _("banned IP")
        verbose_name_plural = _("banned IPs")

    def __str__(self) -> str:
        return str(self.network)

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the fields, as Django does, and that the end is a time that can be read back.

        Raises:
            django.core.exceptions.ValidationError: some are wrong.
        """
        # Not a validator of the field: that would be part of the migrations.
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        ends = self.expires_at
        is_checked = "expires_at" not in (exclude or ()) and isinstance(ends, datetime)
        if is_checked and ends is not None and ends.year not in YEARS:
            message = _("Give a year from %(first)d to %(last)d.")
            years = {"first": YEARS[0], "last": YEARS[-1]}
            errors["expires_at"] = [ValidationError(message, "year", years)]
        if errors:
            raise ValidationError(errors)


class UntrackedUserAgent(Unwanted):
    """A word that tells a user agent that is not to be counted."""

    keyword = models.CharField(
        _("keyword"),
        max_length=100,
        unique=True,
        help_text=_("Whoever has it in the user agent, in capitals or not, is not tracked."),
    )

    objects = UnwantedQuerySet["UntrackedUserAgent"].as_manager()

    class Meta:
        verbose_name = _("untracked user agent")
        verbose_name_plural = _("untracked user agents")

    def __str__(self) -> str:
        return self.keyword

    def clean(self) -> None:
        """Take off the spaces around the keyword.

        Raises:
            django.core.exceptions.ValidationError: nothing is left, which would be in every
                user agent.
        """
        self.keyword = self.keyword.strip()
        if not self.keyword:
            raise ValidationError({"keyword": _("Give a word that has more than spaces in it.")})


for _model in (BannedIP, UntrackedUserAgent):
    post_save.connect(_tell_of_fixtures, sender=_model)
