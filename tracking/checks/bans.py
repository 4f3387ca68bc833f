"""Settings of bans: the response to banned clients."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_ban_status(**_: Any) -> list[CheckMessage]:
    """E016: the status of the response to banned clients."""
    status = conf.ban_status
    if type(status) is int and 400 <= status < 600:  # noqa: PLR2004
        return []
    return [
        Error(
            f"TRACKING_BAN_STATUS is {status!r}, which is not an HTTP error status.",
            hint="Set a status from 400 to 599, such as 403 or 404.",
            id="tracking.E016",
        )
    ]
