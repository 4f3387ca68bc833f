"""Settings of the journey: which goals there are, and what leads to them."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.journey.credit import MAX_DAYS, attribution
from tracking.journey.goals import MAX_GOALS, goal_paths, goal_problem

#: The maximum length of ``TRACKING_CURRENCY``.
_MAX_CURRENCY = 10

_MIDDLEWARE = "tracking.middleware.VisitorTrackingMiddleware"


@register(TAG)
def check_attribution_days(**_: Any) -> list[CheckMessage]:
    """E035: for how long a click leads to what happens after it."""
    if conf.attribution_days is None or attribution() is not None:
        return []
    return [
        Error(
            f"TRACKING_ATTRIBUTION_DAYS is {conf.attribution_days!r}.",
            hint=f"Set a number of days, at most {MAX_DAYS}, or None to credit no mailing. Until "
            "then none is credited.",
            id="tracking.E035",
        )
    ]


@register(TAG)
def check_goals(**_: Any) -> list[CheckMessage]:
    """E036: the goals."""
    goals = conf.goals
    if not isinstance(goals, Mapping):
        problems = ["it is no dict"]
    else:
        problems = [problem for line in goals.items() if (problem := goal_problem(*line))]
        if len(goals) > MAX_GOALS:
            problems.append(f"it has more than {MAX_GOALS} goals")
    return [
        Error(
            f"TRACKING_GOALS: {problem}.",
            hint="Set names of events or beginnings of paths, by what reports show, such as "
            '{"Purchase": "purchase", "Signed up": "/welcome/"}.',
            id="tracking.E036",
        )
        for problem in problems
    ]


@register(TAG)
def check_currency(**_: Any) -> list[CheckMessage]:
    """E037: the text after values."""
    currency = getattr(settings, "TRACKING_CURRENCY", "")
    if isinstance(currency, str) and len(currency) <= _MAX_CURRENCY and currency.isprintable():
        return []
    return [
        Error(
            f"TRACKING_CURRENCY is {currency!r}.",
            hint=f'Set a short text, such as "€" or "USD", of at most {_MAX_CURRENCY} characters.',
            id="tracking.E037",
        )
    ]


@register(TAG)
def check_pages_that_are_goals(**_: Any) -> list[CheckMessage]:
    """W023: goals that no page can reach."""
    paths = goal_paths()
    if not paths or _MIDDLEWARE in settings.MIDDLEWARE:
        return []
    return [
        Warning(
            f"The goal {paths[0]!r} is a page, and no page is tracked.",
            hint=f"Add {_MIDDLEWARE!r} to MIDDLEWARE.",
            id="tracking.W023",
        )
    ]
