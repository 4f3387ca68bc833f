"""Wiring: what happens when Django starts."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class TrackingConfig(AppConfig):
    """The app ``tracking``."""

    name = "tracking"
    label = "tracking"
    verbose_name = _("Tracking")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks and snapshots, and let the site's ``pixels.py`` register callbacks."""
        from tracking import bans, checks, filters  # noqa: F401, PLC0415 - models come first

        autodiscover_modules("pixels")
