"""Settings of exclusions: requests that are not counted."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.utils.functional import Promise

from tracking import exclusions
from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_exclude(**_: Any) -> list[CheckMessage]:
    """E012: the rules that exclude page views."""
    rules = conf.exclude
    if isinstance(rules, str) or not isinstance(rules, Sequence | set | frozenset):
        unknown = [rules]
    else:
        unknown = [rule for rule in rules if rule not in exclusions.RULES]
    return [
        Error(
            f"TRACKING_EXCLUDE: there is no rule {rule!r}.",
            hint=f"Set a list of some of: {', '.join(exclusions.RULES)}.",
            id="tracking.E012",
        )
        for rule in unknown
    ]


@register(TAG)
def check_path_prefixes(**_: Any) -> list[CheckMessage]:
    """E013: the prefixes of paths that are not tracked."""
    prefixes = conf.no_tracking_prefixes
    wrong: Sequence[object]
    if isinstance(prefixes, str) or not isinstance(prefixes, Sequence):
        wrong = [prefixes]
    else:
        wrong = [prefix for prefix in prefixes if not _is_path_prefix(prefix)]
    return [
        Error(
            f"NO_TRACKING_PREFIXES: {prefix!r} is not a path that starts with a slash.",
            hint='Set a list of paths: ["/family/"].',
            id="tracking.E013",
        )
        for prefix in wrong
    ]


def _is_path_prefix(prefix: object) -> bool:
    return isinstance(prefix, str | Promise) and str(prefix).startswith("/")
