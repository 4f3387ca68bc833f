"""The largest values of a facet on each day, and all others as one; lists made of them.

Strangers choose paths, referrers and UTM parameters, and so how many values a facet has. The
database groups, ranks and cuts them, so that this process never holds more than it shows.

Django cannot write ``WITH``. So these functions wrap statements that Django wrote.
"""
# ruff: noqa: S608 - all that strangers choose are parameters

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet

from tracking.conf import conf
from tracking.db.chunks import in_batches
from tracking.rollups.sql_text import WholeTextSql

#: Statements of one union: SQLite takes at most 500.
_AT_ONCE = 400


class Statement(NamedTuple):
    """A SELECT and its parameters."""

    sql: str
    parameters: tuple[Any, ...]

    @classmethod
    def of(cls, rows: QuerySet[Any], using: str) -> "Statement | None":
        """Return the statement of a queryset, or ``None`` if it cannot find anything.

        Args:
            rows: the queryset.
            using: the database alias.
        """
        try:
            sql, parameters = rows.query.get_compiler(using=using).as_sql()
        except EmptyResultSet:
            return None
        return cls(sql, tuple(parameters))


_NOTHING = Statement("", ())


class ValueCounts(NamedTuple):
    """The counts of a value in an interval.

    Attributes:
        interval: the index of the interval.
        value: the value, "" for rows without one and for all others.
        is_other: whether these are all values that are not among the largest.
        total: number of rows.
        uniques: distinct visitors or recipients.
    """

    interval: int
    value: str
    is_other: bool
    total: int
    uniques: int


def by_interval(rows: QuerySet[Any], figure: str, using: str) -> Iterator[ValueCounts]:
    """Yield the counts of the largest values of each interval, and of all others as one.

    Args:
        rows: rows with ``interval`` and ``value``, a
            :class:`tracking.rollups.sql_text.WholeText`, grouped by these and by ``who``, and
            with their number ``n``.
        figure: ``"total"`` or ``"uniques"``: the count by which the largest are found. Values
            with the same count are sorted by their letters.
        using: the database alias.
    """
    grouped = Statement.of(rows, using)
    if grouped is None:
        return
    tables, largest = cut("values", grouped, ("who",), figure, using)
    plain = WholeTextSql.of(using).plain("value")
    sql = (
        f"WITH {tables.sql} SELECT cell, {plain}, is_other, total, uniques "
        f"FROM ({largest.sql}) AS counted"
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, (*tables.parameters, *largest.parameters))
        for interval, value, is_other, total, uniques in cursor:
            yield ValueCounts(interval, value, bool(is_other), int(total), int(uniques))


def cut(
    name: str, grouped: Statement, people: Sequence[str], figure: str, using: str
) -> tuple[Statement, Statement]:
    """Return how to count the largest values and all others, as :func:`by_interval`.

    Rows without a value are neither large nor other.

    Args:
        name: the end of the names of the common table expressions.
        grouped: the rows, grouped by the index of the interval, the value and the visitor or
            recipient, with their number.
        people: the names of the columns of the visitor or recipient. If the last is ``NULL``, it
            is nobody.
        figure: as in :func:`by_interval`.
        using: the database alias.

    Returns:
        Common table expressions, and the SELECT that reads them. (MariaDB does not find them in a
        ``WITH`` within a ``WITH``.) Its columns are those of :class:`ValueCounts`, with the value
        as :class:`tracking.rollups.sql_text.WholeText`.
    """
    text = WholeTextSql.of(using)
    who, person = ", ".join(people), people[-1]
    tables = f"""
grouped_{name} (cell, value, {who}, n) AS ({grouped.sql}),
sums_{name} (cell, value, total, uniques) AS (
    SELECT cell, value, SUM(n), COUNT({person}) FROM grouped_{name} GROUP BY cell, value
),
ranked_{name} (cell, value, total, uniques, place) AS (
    SELECT cell, value, total, uniques, ROW_NUMBER() OVER (
        PARTITION BY cell, CASE WHEN value = {text.empty} THEN 0 ELSE 1 END
        ORDER BY {figure} DESC, {text.sort_key("value")}
    ) FROM sums_{name}
),
largest_{name} (cell, value, total, uniques) AS (
    SELECT cell, value, total, uniques FROM ranked_{name} WHERE place <= %s
)"""
    # Rows are compared with the largest values, which are few, and only if there are others.
    sql = f"""
SELECT cell, value, 0 AS is_other, total, uniques FROM largest_{name}
UNION ALL
SELECT cell, {text.empty}, 1, SUM(n), COUNT({person}) FROM (
    SELECT each_one.cell, {who}, SUM(n) AS n FROM grouped_{name} AS each_one
    LEFT JOIN largest_{name} AS known ON known.cell = each_one.cell AND known.value = each_one.value
    WHERE known.cell IS NULL AND EXISTS (SELECT 1 FROM ranked_{name} WHERE place > %s)
    GROUP BY each_one.cell, {who}
) AS merged GROUP BY cell"""
    limit = conf.counts_per_facet
    return Statement(tables, (*grouped.parameters, limit)), Statement(sql, (limit,))


class ListRow(NamedTuple):
    """A line of a list.

    Attributes:
        name: the name of the list.
        value: the value, "" for rows without one and for all others.
        is_other: whether these are values that are not among the largest of their days.
        figure: the number by which the list is sorted.
        numbers: total and uniques of each of the two parts.
        place: 1 for the largest value, and so on. (That of all others has no meaning.)
        lines: number of values of the list.
        whole: the sum of all figures.
    """

    name: str
    value: str
    is_other: bool
    figure: int
    numbers: tuple[int, int, int, int]
    place: int
    lines: int
    whole: int


def lists(
    parts: Sequence[Statement],
    *,
    by_uniques: Iterable[str],
    with_none: Iterable[str],
    limit: int | None,
    offset: int,
    using: str,
    tables: Statement = _NOTHING,
    further: Statement = _NOTHING,
) -> Iterator[ListRow]:
    """Yield lines of lists: the first of each, a page of each, and all other values as one.

    Args:
        parts: counts to be added up, with the columns list, part, value, is_other, total and
            uniques; the value as in :func:`cut`. A list has one part (0) or two (0 and 1), such
            as opens and clicks.
        by_uniques: names of lists that are sorted by the uniques of their first part; all others
            are sorted by the totals of both.
        with_none: names of lists that have a line for rows without a value.
        limit: the maximum number of lines of the page, or ``None`` for all.
        offset: the number of lines before the page.
        using: the database alias.
        tables: common table expressions that the parts read, each with a comma behind it.
        further: a SELECT of further rows, which are no lines of a list.
    """
    if not parts:
        return
    text = WholeTextSql.of(using)
    by_uniques, with_none = tuple(by_uniques), tuple(with_none)
    counted = union([part.sql for part in parts])
    page = "place > %s" if limit is None else "place > %s AND place <= %s"
    also = f"UNION ALL {further.sql}" if further.sql else ""
    sql = f"""
WITH {tables.sql} counted (list, part, value, is_other, total, uniques) AS ({counted}),
sums (list, value, is_other, total, uniques, more, more_uniques) AS (
    SELECT list, value, is_other,
        SUM(CASE WHEN part = 0 THEN total ELSE 0 END),
        SUM(CASE WHEN part = 0 THEN uniques ELSE 0 END),
        SUM(CASE WHEN part = 1 THEN total ELSE 0 END),
        SUM(CASE WHEN part = 1 THEN uniques ELSE 0 END)
    FROM counted
    WHERE is_other = 1 OR value <> {text.empty} OR {_among("list", with_none)}
    GROUP BY list, value, is_other
),
figures (list, value, is_other, figure, total, uniques, more, more_uniques) AS (
    SELECT list, value, is_other,
        CASE WHEN {_among("list", by_uniques)} THEN uniques ELSE total + more END,
        total, uniques, more, more_uniques
    FROM sums
),
ranked AS (
    SELECT figures.*,
        ROW_NUMBER() OVER (
            PARTITION BY list, is_other ORDER BY figure DESC, {text.sort_key("value")}
        ) AS place,
        COUNT(*) OVER (PARTITION BY list, is_other) AS line_count,
        SUM(figure) OVER (PARTITION BY list) AS whole
    FROM figures
)
SELECT list, {text.plain("value")}, is_other, figure, total, uniques, more, more_uniques,
    place, line_count, whole
FROM ranked WHERE is_other = 1 OR place = 1 OR ({page})
{also}
ORDER BY 1, 3, 9"""
    parameters = [value for part in [tables, *parts] for value in part.parameters]
    parameters += [*with_none, *by_uniques, offset]
    if limit is not None:
        parameters.append(offset + limit)
    parameters += further.parameters
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        for name, value, is_other, figure, *numbers, place, line_count, whole in cursor:
            yield ListRow(
                name,
                value,
                bool(is_other),
                int(figure),
                tuple(map(int, numbers)),  # type: ignore[arg-type]
                int(place),
                int(line_count),
                int(whole),
            )


def union(statements: Sequence[str]) -> str:
    """Return the union of any number of statements."""
    batches = list(in_batches(statements, _AT_ONCE))
    if len(batches) > 1:
        return union([f"SELECT * FROM ({union(batch)}) AS batch" for batch in batches])
    return "\nUNION ALL\n".join(statements)


def _among(column: str, names: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(['%s'] * len(names))})" if names else "1 = 0"
