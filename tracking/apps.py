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
        """Register the checks, and let the site's ``pixels.py`` modules register callbacks."""
        from tracking import checks  # noqa: F401, PLC0415 - models must be loaded first

        autodiscover_modules("pixels")
