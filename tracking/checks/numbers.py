"""Settings that must be positive numbers."""

from typing import Any

from django.core.checks import CheckMessage, Error


def positive_number_errors(
    setting: str, value: Any, unit: str, **details: str
) -> list[CheckMessage]:
    """Return an error if the value of a setting is not a number greater than 0.

    Args:
        setting: the full name of the setting.
        value: its value. ``True`` is not a number.
        unit: the unit of the number, for the hint.
        details: the ``id`` of the error.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return []
    hint = f"Set a positive number of {unit}."
    return [Error(f"{setting} is {value!r}.", hint=hint, **details)]
