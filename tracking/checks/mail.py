"""Settings of mail: which messages are tracked, and what sends them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.mail.backend import sender_class
from tracking.mail.options import load_rule

_PATH = "tracking.mail.TrackingEmailBackend"


@register(TAG)
def check_mail_rule(**_: Any) -> list[CheckMessage]:
    """E025: which messages are tracked."""
    try:
        load_rule()
    except Exception as error:  # noqa: BLE001 - the site's module may raise anything
        return [
            Error(
                f"TRACKING_MAIL is {conf.mail!r}, which cannot be loaded: {error}",
                hint='Set "opt-in", "all", or a callable that takes a message, or its dotted path. '
                "Until then messages go out without tracking.",
                id="tracking.E025",
            )
        ]
    return []


@register(TAG)
def check_mail_backend(**_: Any) -> list[CheckMessage]:
    """E026: the mail backend that sends."""
    if getattr(settings, "EMAIL_BACKEND", "") != _PATH:
        return []
    try:
        sender_class()
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error),
                hint="Set TRACKING_MAIL_BACKEND to the dotted path of the mail backend that sends, "
                "such as the former value of EMAIL_BACKEND.",
                id="tracking.E026",
            )
        ]
    return []


@register(TAG)
def check_base_url_of_mail(**_: Any) -> list[CheckMessage]:
    """E027: links in mail need a host."""
    if conf.base_url or not is_in_use():
        return []
    return [
        Error(
            "TrackingEmailBackend is set, and TRACKING_BASE_URL is not: no message is tracked.",
            hint="Set TRACKING_BASE_URL to the public address of this site, such as "
            '"https://www.example.com".',
            id="tracking.E027",
        )
    ]


def is_in_use() -> bool:
    """Return whether a mail backend of the settings tracks messages."""
    paths = [getattr(settings, "EMAIL_BACKEND", "")]
    paths += [mailer.get("BACKEND", "") for mailer in getattr(settings, "MAILERS", {}).values()]
    return _PATH in paths
