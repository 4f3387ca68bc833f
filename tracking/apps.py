"""The app configuration: what happens when Django starts."""

import importlib.util
from typing import Any

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.db.models.signals import post_delete
from django.http import HttpRequest
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from tracking.db.isolation import log_errors_with_savepoints
from tracking.log_limits import get_logger

logger = get_logger(__name__)


class TrackingConfig(AppConfig):
    """The app ``tracking``."""

    name = "tracking"
    label = "tracking"
    verbose_name = _("Tracking")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Import the models, unless an app that they need is missing.

        Raises:
            ImproperlyConfigured: the site has not installed it; the message says what to add.
        """
        if not apps.is_installed("django.contrib.contenttypes"):
            raise ImproperlyConfigured(
                'The app "tracking" needs "django.contrib.contenttypes" in INSTALLED_APPS, and the '
                'app of the user model, by default "django.contrib.auth".'
            )
        super().import_models()

    def ready(self) -> None:
        """Register checks, snapshots, metrics, and the callbacks of the site's ``pixels.py``."""
        from django.contrib.auth import get_user_model  # noqa: PLC0415 - models come first
        from django.contrib.auth.signals import user_logged_out  # noqa: PLC0415

        from tracking import bans, checks, exclusions  # noqa: F401, PLC0415
        from tracking.db.collations import ignore_case_in_lookups  # noqa: PLC0415

        for model in self.get_models():
            ignore_case_in_lookups(model)
        user_logged_out.connect(_log_out, dispatch_uid="tracking.log_out")
        post_delete.connect(_clear_user_key, sender=get_user_model(), dispatch_uid="tracking.user")
        if importlib.util.find_spec("prometheus_client") is not None:
            from tracking import metrics  # noqa: PLC0415 - needs an extra

            metrics.register()
        autodiscover_modules("pixels")


def _log_out(request: HttpRequest | None, **_arguments: Any) -> None:
    """Note that the visitor has logged out. The next pages may not ask who is logged in."""
    from tracking.identity.request_info import RequestInfo  # noqa: PLC0415
    from tracking.recording.visitors import log_out  # noqa: PLC0415

    with log_errors_with_savepoints(logger, "Logging out the visitor"):
        if request is not None and (keys := RequestInfo.of(request).keys_so_far()):
            log_out(*keys)


def _clear_user_key(instance: Model, **_arguments: Any) -> None:
    """Clear the key of a deleted user in visitors and visits."""
    from tracking.models import Visit, Visitor  # noqa: PLC0415

    with log_errors_with_savepoints(logger, "Clearing the key of the deleted user %s", instance.pk):
        for model in (Visitor, Visit):
            model._default_manager.filter(user_id=instance.pk).update(user_id=None)
