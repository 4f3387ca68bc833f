"""Settings of webhooks."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.checks.numbers import positive_number_errors
from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.webhooks.addresses import invalid_networks


@register(TAG)
def check_webhook_limits(**_: Any) -> list[CheckMessage]:
    """E039: how long a delivery may take, and how much may wait."""
    return [
        *positive_number_errors(
            "TRACKING_WEBHOOK_TIMEOUT", conf.webhook_timeout, "seconds", id="tracking.E039"
        ),
        *positive_number_errors(
            "TRACKING_WEBHOOK_BACKLOG", conf.webhook_backlog, "megabytes", id="tracking.E039"
        ),
    ]


@register(TAG)
def check_webhook_networks(**_: Any) -> list[CheckMessage]:
    """E040: networks that are not public and have endpoints."""
    invalid = invalid_networks()
    if not invalid:
        return []
    return [
        Error(
            f"TRACKING_WEBHOOK_NETWORKS names what is neither an address nor a network: {invalid}.",
            hint='Set a list of addresses or networks in CIDR notation, such as ["10.1.0.0/16"].',
            id="tracking.E040",
        )
    ]


@register(TAG)
def check_webhook_encryption(**_: Any) -> list[CheckMessage]:
    """W025: webhooks without encryption."""
    if settings.DEBUG or not conf.webhook_http:
        return []
    return [
        Warning(
            "TRACKING_WEBHOOK_HTTP allows endpoints without encryption.",
            hint="Who opened and clicked can be read on the way. Remove the setting, and give "
            "endpoints https:// addresses.",
            id="tracking.W025",
        )
    ]
