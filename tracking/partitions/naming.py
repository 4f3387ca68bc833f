"""Names and key ranges of the partitions of a table.

>>> month_partition("tracking_beacon", Month(2026, 12))
'tracking_beacon_2026_12'
"""

from tracking.partitions.months import Month


def month_partition(table: str, month: Month) -> str:
    """Return the name of the partition for a month."""
    return f"{table}_{month.year:04}_{month.month:02}"


def earlier_partition(table: str) -> str:
    """Return the name of the partition that was the whole table."""
    return f"{table}_earlier"


def default_partition(table: str) -> str:
    """Return the name of the default partition, for keys outside of all others."""
    return f"{table}_default"


def month_bounds(month: Month) -> str:
    """Return the range of keys of a month, as SQL."""
    return f"FROM ('{month.first_key}') TO ('{month.next.first_key}')"
