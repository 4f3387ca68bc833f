"""Settings of retention: how long rows are kept and visitors stay active."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from tracking import retention
from tracking.checks.numbers import positive_number_errors
from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_retention(**_: Any) -> list[CheckMessage]:
    """E014: the age at which rows are deleted."""
    return [Error(problem, id="tracking.E014") for problem in retention.setting_errors()]


@register(TAG)
def check_timeout(**_: Any) -> list[CheckMessage]:
    """E014: how long a visitor stays active after a page."""
    return positive_number_errors("TRACKING_TIMEOUT", conf.timeout, "minutes", id="tracking.E014")
