"""Settings of retention: how long rows are kept and visitors stay active."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from tracking import retention
from tracking.checks.numbers import is_positive_number
from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_retention(**_: Any) -> list[CheckMessage]:
    """E014: the age at which rows are deleted."""
    return [Error(problem, id="tracking.E014") for problem in retention.problems()]


@register(TAG)
def check_timeout(**_: Any) -> list[CheckMessage]:
    """E014: how long a visitor stays active after a page."""
    if is_positive_number(conf.timeout):
        return []
    return [
        Error(
            f"TRACKING_TIMEOUT is {conf.timeout!r}.",
            hint="Set a positive number of minutes.",
            id="tracking.E014",
        )
    ]
