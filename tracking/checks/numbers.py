"""Numbers in settings."""

from typing import Any


def is_positive_number(value: Any) -> bool:
    """Return whether a value is a number greater than 0. ``True`` is not a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
