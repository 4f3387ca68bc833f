"""Destinations with short links."""

from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.destinations import validate_destination


class TargetQuerySet(models.QuerySet["Target"]):
    """Filters of targets."""

    def live(self) -> Self:
        """Return the targets whose clicks are counted now: active and not expired."""
        return self.filter(active=True).exclude(expires_at__lte=timezone.now())


class Target(models.Model):
    """A destination with a short link of its own."""

    name = models.CharField(_("name"), max_length=200)
    url = models.TextField(
        _("URL"),
        validators=[validate_destination],
        help_text=_("The destination of the link: an http or https URL, or a path of this site."),
    )
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Clicks on an inactive link still redirect, but are not counted."),
    )
    expires_at = models.DateTimeField(
        _("expires at"),
        null=True,
        blank=True,
        help_text=_("Clicks after this time still redirect, but are not counted."),
    )

    objects = TargetQuerySet.as_manager()

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")

    def __str__(self) -> str:
        return self.name

    def get_beacon_url(self) -> str:
        """Return the destination of links to this target."""
        return self.url

    @property
    def is_live(self) -> bool:
        """Whether clicks on this target are counted now."""
        return self.active and (self.expires_at is None or self.expires_at > timezone.now())
