"""System checks: anymail is installed, and its webhooks have URLs."""

import importlib.util
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from tracking.checks.tags import TAG


@register(TAG)
def check_anymail(**_: Any) -> list[CheckMessage]:
    """E038: anymail is missing. W024: its webhooks have no URL."""
    if not apps.is_installed("tracking.contrib.anymail"):
        return []  # the app was switched off since it was registered, as in tests
    if importlib.util.find_spec("anymail") is None:
        return [
            Error(
                "tracking.contrib.anymail is in INSTALLED_APPS, and django-anymail is missing.",
                hint='Run "pip install django-beacons[anymail]", or remove the app.',
                id="tracking.E038",
            )
        ]
    try:
        reverse("anymail:mailgun_tracking_webhook")
    except NoReverseMatch:
        return [
            Warning(
                "The webhooks of django-anymail have no URL: no event of your mail provider "
                "arrives.",
                hint='Add path("anymail/", include("anymail.urls")) to your URLconf, and enter '
                "the URL of the webhook at your mail provider.",
                id="tracking.W024",
            )
        ]
    except ImproperlyConfigured:
        return []  # Django's own checks tell that the URLconf is broken
    return []
