"""Settings of reports: how many values are counted one by one."""

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
