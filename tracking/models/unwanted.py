"""Who is kept out of the site, and who is not counted."""

from datetime import datetime
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.client import network_of


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

    def get_prep_value(self, value: Any) -> Any:
        """Return what is stored and looked up, however the network was spelled."""
        return self.to_python(super().get_prep_value(value))


class BannedIPQuerySet(models.QuerySet["BannedIP"]):
    """Bans, narrowed down in words."""

    def live(self, moment: datetime | None = None) -> Self:
        """Bans that are in force.

        Args:
            moment: when (aware); now by default.
        """
        return self.exclude(expires_at__lte=moment or timezone.now())


class BannedIP(models.Model):
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


class UntrackedUserAgent(models.Model):
    """A word that tells a user agent that is not to be counted."""

    keyword = models.CharField(
        _("keyword"),
        max_length=100,
        unique=True,
        help_text=_("Whoever has it in the user agent, in capitals or not, is not tracked."),
    )

    class Meta:
        verbose_name = _("untracked user agent")
        verbose_name_plural = _("untracked user agents")

    def __str__(self) -> str:
        return self.keyword
