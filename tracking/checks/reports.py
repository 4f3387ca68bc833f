"""Settings of reports: what is counted and kept, and until when verdicts are corrected."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_counts_per_facet(**_: Any) -> list[CheckMessage]:
    """E023: the number of values of a facet that each day counts one by one."""
    number = conf.counts_per_facet
    if type(number) is int and number > 0:
        return []
    return [
        Error(
            f"TRACKING_COUNTS_PER_FACET is {number!r}.",
            hint="Set a whole number greater than 0, such as 1000.",
            id="tracking.E023",
        )
    ]


@register(TAG)
def check_filtered_days(**_: Any) -> list[CheckMessage]:
    """E028: the number of counts of days with filters that are kept."""
    number = conf.filtered_days
    if type(number) is int and number >= 0:
        return []
    return [
        Error(
            f"TRACKING_FILTERED_DAYS is {number!r}.",
            hint="Set a whole number, such as 10000, or 0 to keep none.",
            id="tracking.E028",
        )
    ]


@register(TAG)
def check_verdict_window(**_: Any) -> list[CheckMessage]:
    """E033: the seconds in which hits of a message are compared."""
    seconds = conf.verdict_window
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= _DAY:
        return []
    return [
        Error(
            f"TRACKING_VERDICT_WINDOW is {seconds!r}.",
            hint="Set a number of seconds up to a day, such as 600, or 0 to compare no hits.",
            id="tracking.E033",
        )
    ]


#: Seconds.
_DAY = 86_400
