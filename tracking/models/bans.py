"""Banned networks, and user agents that are not tracked."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.signals import post_save
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.db.column_values import storable_time
from tracking.models.change_signals import (
    ChangeSignalModel,
    ChangeSignalQuerySet,
    signal_loaded_fixture,
)
from tracking.models.fields import NetworkField
from tracking.signals import address_banned

#: Years that every database stores and Python reads in every time zone. A time in the year
#: 9999 here may be in the year 10000 there, which PostgreSQL stores and Python cannot read.
STORABLE_YEARS = range(1970, 9999)


class BannedIPQuerySet(ChangeSignalQuerySet["BannedIP"]):
    """Filters of bans."""

    def live(self, moment: datetime | None = None) -> Self:
        """Return the bans that have not expired.

        Args:
            moment: a time (aware); by default now.
        """
        return self.exclude(expires_at__lte=moment or timezone.now())

    def with_readable_expiry(self) -> Self:
        """Add ``expiry``: the expiry, or ``None`` if it is too far away for Python to read.

        Raw SQL can write such a time. One such row must not make all rows unreadable.
        """
        end_of_time = storable_time(datetime(STORABLE_YEARS.stop, 1, 1, tzinfo=UTC))
        expiry = models.Case(models.When(expires_at__lt=end_of_time, then=models.F("expires_at")))
        return self.annotate(expiry=expiry)

    def _new_instances(self, instances: Sequence["BannedIP"]) -> Sequence["BannedIP"]:
        if not address_banned.has_listeners(self.model):
            return ()
        by_network = {self._network(instance): instance for instance in instances}
        networks = list(by_network)
        for start in range(0, len(networks), 500):  # the limit of parameters of some databases
            rows = self.model._base_manager.using(self.db)
            known = rows.filter(network__in=networks[start : start + 500])
            for network in known.values_list("network", flat=True):
                by_network.pop(network, None)
        return list(by_network.values())

    def _network(self, ban: "BannedIP") -> Any:
        return self.model._meta.get_field("network").get_prep_value(ban.network)


class BannedIP(ChangeSignalModel):
    """An address or a network that may not use the site."""

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
        help_text=_("The ban ends at this time. Leave empty for a permanent ban."),
    )

    objects = BannedIPQuerySet.as_manager()

    class Meta:
        verbose_name = _("banned IP")
        verbose_name_plural = _("banned IPs")

    def __str__(self) -> str:
        return str(self.network)

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Validate the fields as Django does, and that any database can store the expiry.

        Raises:
            django.core.exceptions.ValidationError: a field is invalid.
        """
        # Not a validator of the field: it would be part of the migrations.
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        ends = self.expires_at
        is_checked = "expires_at" not in (exclude or ()) and isinstance(ends, datetime)
        if is_checked and ends is not None and ends.year not in STORABLE_YEARS:
            message = _("Enter a year from %(first)d to %(last)d.")
            years = {"first": STORABLE_YEARS[0], "last": STORABLE_YEARS[-1]}
            errors["expires_at"] = [ValidationError(message, "year", years)]
        if errors:
            raise ValidationError(errors)


class UntrackedUserAgent(ChangeSignalModel):
    """A keyword: user agents that contain it are not tracked."""

    keyword = models.CharField(
        _("keyword"),
        max_length=100,
        unique=True,
        help_text=_(
            "Browsers whose user agent contains this text are not tracked (case-insensitive)."
        ),
    )

    objects = ChangeSignalQuerySet["UntrackedUserAgent"].as_manager()

    class Meta:
        verbose_name = _("untracked user agent")
        verbose_name_plural = _("untracked user agents")

    def __str__(self) -> str:
        return self.keyword

    def clean(self) -> None:
        """Strip spaces from the keyword.

        Raises:
            django.core.exceptions.ValidationError: nothing is left. An empty keyword would match
                every user agent.
        """
        self.keyword = self.keyword.strip()
        if not self.keyword:
            raise ValidationError({"keyword": _("Enter a keyword that is not only spaces.")})


for _model in (BannedIP, UntrackedUserAgent):
    post_save.connect(signal_loaded_fixture, sender=_model)
