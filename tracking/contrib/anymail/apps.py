"""The app configuration: listens to anymail, if it is there."""

import importlib.util

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnymailConfig(AppConfig):
    """The app ``tracking.contrib.anymail``."""

    name = "tracking.contrib.anymail"
    label = "tracking_anymail"
    verbose_name = _("Events of mail providers")

    def ready(self) -> None:
        """Register the checks, and the receiver of anymail's signal."""
        from tracking.contrib.anymail import checks  # noqa: F401, PLC0415 - settings come first

        if importlib.util.find_spec("anymail") is not None:
            from anymail.signals import tracking  # noqa: PLC0415 - needs an extra

            from tracking.contrib.anymail.receiver import record_event  # noqa: PLC0415

            tracking.connect(record_event, dispatch_uid="tracking.contrib.anymail")
