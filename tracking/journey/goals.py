"""Goals: the events and pages that mailings are for.

    TRACKING_GOALS = {"Purchase": "purchase", "Signed up": "/welcome/"}

A goal is the name of an event, or the beginning of a path. Events that come from such a page have
the beginning of the path as their name. So a goal is reached when an event has its name.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from tracking.conf import conf, until_settings_change

#: The maximum length of the name of an event, and of the path of a goal: that of the column.
MAX_NAME = 100

#: The maximum number of goals.
MAX_GOALS = 50


def goal_problem(title: Any, name: Any) -> str | None:
    """Return what is wrong with a line of ``TRACKING_GOALS``, or ``None``.

    Args:
        title: what reports show.
        name: the name of the event, or the beginning of a path.
    """
    if not (isinstance(title, str) and title.strip()):
        return f"{title!r} is no name"
    if not isinstance(name, str):
        return f"{name!r} is neither the name of an event nor the beginning of a path"
    if is_path(name):
        return f"{name!r} is longer than {MAX_NAME} characters" if len(name) > MAX_NAME else None
    return name_problem(name)


def name_problem(name: str) -> str | None:
    """Return what is wrong with the name of an event, or ``None``.

    Args:
        name: the name.
    """
    if not name or name != name.strip():
        return f"{name!r} is empty, or begins or ends with a space"
    if len(name) > MAX_NAME:
        return f"{name[:MAX_NAME]!r}… is longer than {MAX_NAME} characters"
    if is_path(name):
        return f"{name!r} begins with a slash, as only the paths of pages do"
    return None if name.isprintable() else f"{name!r} has characters that cannot be printed"


def is_path(name: str) -> bool:
    """Return whether a goal is the beginning of a path, and not the name of an event."""
    return name.startswith("/")


@until_settings_change
@cache
def goals() -> Mapping[str, str]:
    """Return the names of the goals by their titles, without wrong values.

    The system checks report those.
    """
    found = conf.goals
    if not isinstance(found, Mapping):
        return {}
    lines = [line for line in found.items() if goal_problem(*line) is None]
    return dict(lines[:MAX_GOALS])


@until_settings_change
@cache
def goal_paths() -> tuple[str, ...]:
    """Return the beginnings of paths that are goals. Most sites have none."""
    return tuple(dict.fromkeys(name for name in goals().values() if is_path(name)))
