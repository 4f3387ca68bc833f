"""Cells of CSV files that no spreadsheet takes for a formula ("CSV injection", as OWASP calls it).

    >>> guard("=1+1"), unguard("'=1+1")
    ("'=1+1", '=1+1')

An apostrophe in front of the text prevents it. ``unguard(guard(text))`` is the text again.
"""

import re
from datetime import datetime
from decimal import Decimal

#: What may begin a formula: four signs, the same as East Asian keyboards write them, and white
#: space that some programs skip.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

# A cell also begins where some spreadsheets split lines: at semicolons, where a comma is the
# decimal sign, even within quotes. Text that begins with the apostrophe gets a second one.
_BEGIN = "(?:^|(?<=[;\t\r\n]))"
_FORMULA = "(?='*[" + re.escape("".join(FORMULA_STARTS)) + "])"
_TO_GUARD = re.compile(_BEGIN + _FORMULA)
_GUARDED = re.compile(_BEGIN + "'" + _FORMULA)


def guard(value: object) -> str:
    """Return a value as the text of a cell that is no formula.

    Args:
        value: ``None`` is an empty cell; numbers and times, which are ours, stay as they are.
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, int | float | Decimal):
        return str(value)
    return _TO_GUARD.sub("'", str(value).replace("\0", ""))


def unguard(cell: str) -> str:
    """Return the text of a cell without the apostrophes that :func:`guard` added."""
    return _GUARDED.sub("", cell)
