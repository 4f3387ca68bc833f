"""The abstract model that ``Beacon``, ``Visitor`` and ``Visit`` share."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tracking.enrichment.verdict_rules import Label


class EnrichmentColumns(models.Model):
    """The columns that :mod:`tracking.enrichment` fills from an address and a user agent."""

    browser = models.CharField(_("browser"), max_length=100, blank=True)
    os = models.CharField(_("operating system"), max_length=100, blank=True)
    device = models.CharField(_("device"), max_length=20, blank=True)

    #: The country code (ISO 3166-1 alpha-2).
    country = models.CharField(_("country"), max_length=2, blank=True)
    region = models.CharField(_("region"), max_length=100, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    latitude = models.FloatField(_("latitude"), null=True, blank=True)
    longitude = models.FloatField(_("longitude"), null=True, blank=True)

    verdict = models.CharField(_("verdict"), max_length=20, choices=Label, default=Label.HUMAN)
    verdict_reason = models.CharField(_("reason for the verdict"), max_length=200, blank=True)

    class Meta:
        abstract = True
