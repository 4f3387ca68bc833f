"""What the parts of a table are called, and the keys they have.

>>> month_name("tracking_beacon", Month(2026, 12))
'tracking_beacon_2026_12'
"""

from tracking.partitions.months import Month


def month_name(table: str, month: Month) -> str:
    """Return the name of the part for a month."""
    return f"{table}_{month.year:04}_{month.month:02}"


def earlier_name(table: str) -> str:
    """Return the name of the part that was the whole table."""
    return f"{table}_earlier"


def default_name(table: str) -> str:
    """Return the name of the part for what fits nowhere."""
    return f"{table}_default"


def month_bounds(month: Month) -> str:
    """Return the keys of a month, as SQL says them."""
    return f"FROM ('{month.first_key}') TO ('{month.next.first_key}')"
