"""Add up the counts of old days to counts of months.

    while fold_some(date(2024, 6, 1), "default"):    # days before are older than the setting
        ...

All numbers of a month are the sums of its days, as reports add them up, uniques included. Lists
keep the largest values of the month (``TRACKING_COUNTS_PER_FACET``), and all others as one. Counts
by the hour are deleted. Of each source the first and last times of a month stay, and all quarters
of an hour.

Months are folded one after the other, each in transactions of one facet of one scope, by the
database. It may be stopped at any time: sums over the whole month are right after each of them.
"""
# ruff: noqa: S608 - all that strangers choose are parameters

from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.models import Count, Q, QuerySet

from tracking.conf import conf
from tracking.db.retry import retry_transaction
from tracking.models import CountedDay, DailyCount, LateDay
from tracking.models.daily_counts import thing_key
from tracking.rollups import months, site_counts, source_counts
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.hourly import is_hourly
from tracking.rollups.lock import lock_counts

#: The day of new counts until the old ones are deleted. No transaction commits it.
_NOWHERE = date(1000, 1, 1)


class _Group(NamedTuple):
    """The counts of one facet of one scope in a month."""

    month: date
    scope: str
    facet: str


def fold_some(until: date, using: str) -> int:
    """Fold the counts of one facet of one scope in one month, the oldest first.

    A month is begun when all its days are counted and none has late rows.

    Args:
        until: days before it are to be folded, if their whole month is.
        using: the database alias.

    Returns:
        The number of counts that were added up, 0 if there is nothing to do.
    """
    while True:
        month = months.later_month(months.first_single_day(using), -1)
        if (group := _next_group(month, using)) is not None:
            if number := retry_transaction(using, partial(_fold_locked, group, using)):
                return number
        elif not retry_transaction(using, partial(_begin_month, until, using)):
            return 0


def waiting(until: date, using: str) -> int:
    """Return how many counts :func:`fold_some` would add up.

    Args:
        until: days before it are to be folded, if their whole month is.
        using: the database alias.
    """
    single = months.first_single_day(using)
    of_days = Q(day__gt=months.later_month(single, -1), day__lt=months.month_of(until))
    return DailyCount.objects.using(using).filter(of_days).count()


def fold_overfull(month: date, using: str) -> None:
    """Fold what has too many values, after more counts were added to a month.

    Call it in the transaction that adds them, with the counts locked.

    Args:
        month: the first day of a month that is stored as one.
        using: the database alias.
    """
    counts = DailyCount.objects.using(using).filter(day=month).order_by()
    groups = counts.values("scope", "facet").annotate(n=Count("pk"))
    # Besides the largest there may be rows without a value, and all others as one.
    is_overfull = Q(n__gt=conf.counts_per_facet + 2) | Q(facet="times", n__gt=3)
    for scope, facet in list(groups.filter(is_overfull).values_list("scope", "facet")):
        _fold(_Group(month, scope, facet), using)


def _next_group(month: date, using: str) -> _Group | None:
    rows = _rows(month, using).filter(day__gt=month).order_by("day")
    found = rows.values_list("scope", "facet").first()
    return None if found is None else _Group(month, *found)


def _begin_month(until: date, using: str) -> bool:
    """Note that the next month is stored as one, and return whether there is one."""
    with transaction.atomic(using=using):
        lock_counts(using)
        counts = DailyCount.objects.using(using)
        later = counts.filter(day__gte=months.first_single_day(using)).order_by("day")
        first = later.values_list("day", flat=True).first()
        if first is None:
            return False
        month = months.month_of(first)
        end = months.later_month(month)
        if end > until or not _is_counted(month, end, using):
            return False
        months.note_first_single_day(end, using)
    return True


def _is_counted(month: date, end: date, using: str) -> bool:
    """Return whether all days of a month, from the first that is, are counted."""
    of_month = Q(day__gte=month, day__lt=end)
    counted = CountedDay.objects.using(using).filter(of_month).order_by("day")
    days = list(counted.values_list("day", flat=True))
    if not days or LateDay.objects.using(using).filter(of_month).exists():
        return False
    return len(days) == (end - days[0]).days


def _fold_locked(group: _Group, using: str) -> int:
    with transaction.atomic(using=using):
        lock_counts(using)
        # Another process may have done it since the group was found.
        if not _rows_of(group, using).filter(day__gt=group.month).exists():
            return 0
        return _fold(group, using)


def _fold(group: _Group, using: str) -> int:
    """Replace counts by their sums, in the current transaction, and return how many there were."""
    rows = _rows_of(group, using)
    number = rows.count()
    if is_hourly(group.facet):
        rows.delete()
        return number
    if group.facet == "times":
        rows.exclude(value__in=_ends(rows.values_list("value", flat=True))).delete()
    with connections[using].cursor() as cursor:
        cursor.execute(*_insert_sums(group, using))
    rows.delete()
    new = DailyCount.objects.using(using).filter(day=_NOWHERE)
    new.update(day=group.month)
    return number


def _rows(month: date, using: str) -> QuerySet[DailyCount]:
    rows = DailyCount.objects.using(using)
    return rows.filter(day__gte=month, day__lt=months.later_month(month))


def _rows_of(group: _Group, using: str) -> QuerySet[DailyCount]:
    return _rows(group.month, using).filter(scope=group.scope, facet=group.facet)


def _ends(values: Iterable[str]) -> list[str]:
    """Return the first and last of the values of the facet ``times`` by their names."""
    found: dict[str, tuple[datetime, str]] = {}
    for value in values:
        name, _space, text = value.partition(" ")
        latest = max if name == source_counts.LAST else min
        one = (datetime.fromisoformat(text), value)
        found[name] = latest(one, found.get(name, one))
    return [value for _time, value in found.values()]


def _insert_sums(group: _Group, using: str) -> tuple[str, list[Any]]:
    """Return the statement that inserts the sums of a group, on the day ``_NOWHERE``."""
    ops = connections[using].ops
    table, key = DailyCount._meta.db_table, ops.quote_name("key")
    scope, facet = group.scope, group.facet
    figure = _figure(scope, facet)
    numbers = ", ".join(Counts._fields)
    sums = ", ".join(f"SUM({name}) AS {name}" for name in Counts._fields)
    none, other = thing_key(scope, facet, ""), thing_key(scope, facet, OTHER)
    too_small = "place > %s" if figure else "1 = 0"
    # By the key, and by it only: MariaDB does not group by all letters of a long value.
    sql = f"""
INSERT INTO {table} (day, {key}, scope, facet, value, is_other, {numbers})
WITH sums AS (
    SELECT {key}, MIN(value) AS value, {sums} FROM {table}
    WHERE scope = %s AND facet = %s AND day >= %s AND day < %s GROUP BY {key}
),
ranked AS (
    SELECT sums.*, ROW_NUMBER() OVER (
        PARTITION BY CASE WHEN {key} IN (%s, %s) THEN 0 ELSE 1 END
        ORDER BY {figure or "total"} DESC, {key}
    ) AS place FROM sums
),
cut AS (
    SELECT ranked.*,
        CASE WHEN {key} NOT IN (%s, %s) AND {too_small} THEN 1 ELSE 0 END AS is_small
    FROM ranked
),
kept AS (
    SELECT CASE WHEN is_small = 1 THEN %s ELSE {key} END AS kept_key,
        CASE WHEN is_small = 1 THEN '' ELSE value END AS kept_value, {numbers} FROM cut
)
SELECT %s, kept_key, %s, %s, MIN(kept_value), CASE WHEN kept_key = %s THEN TRUE ELSE FALSE END,
    {sums} FROM kept GROUP BY kept_key"""
    day = ops.adapt_datefield_value
    month = [day(group.month), day(months.later_month(group.month))]
    limit = [conf.counts_per_facet] if figure else []
    parameters = [scope, facet, *month, none, other, none, other, *limit, other]
    return sql, [*parameters, day(_NOWHERE), scope, facet, other]


def _figure(scope: str, facet: str) -> str:
    """Return the count by which the largest values are found, or ``""`` to keep all values."""
    if scope:
        return "total" if facet in source_counts.LISTS else ""
    of_site = site_counts.FACETS.get(facet)
    return of_site.figure if of_site is not None and of_site.is_list else ""
