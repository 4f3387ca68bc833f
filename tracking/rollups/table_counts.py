"""Counts of visits, pages or beacons by several facets, in one statement for each table.

The statement reads the rows once, with the columns that any of the facets needs, and groups what
it has read once for each facet.
"""
# ruff: noqa: S608 - all that strangers choose are parameters

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import (
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    Func,
    IntegerField,
    TextField,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.fields import BigIntegerField

from tracking.models import Beacon
from tracking.rollups import largest_values
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import Intervals
from tracking.rollups.largest_values import ListRow, Statement
from tracking.rollups.metric_definitions import STATES, rank_of_state
from tracking.rollups.site_counts import (
    FACETS,
    NO_FILTER,
    PEOPLE,
    TIMES,
    Facet,
    IntervalCounts,
    Where,
    rows_of,
)
from tracking.rollups.sql_text import WholeText, WholeTextSql


class Run(NamedTuple):
    """Consecutive intervals, some of many.

    Attributes:
        offset: the index of the first one.
        intervals: the intervals.
    """

    offset: int
    intervals: Intervals


class Cell(NamedTuple):
    """The counts of one value in one interval.

    Attributes:
        facet: the facet.
        interval: the index of the interval.
        value: the value, or :data:`tracking.rollups.counts.OTHER`.
        counts: its counts.
    """

    facet: str
    interval: int
    value: str
    counts: Counts


def count(
    name: str, intervals: Intervals, where: Where = NO_FILTER, using: str | None = None
) -> IntervalCounts:
    """Count rows by one facet.

    Args:
        name: one of :data:`tracking.rollups.site_counts.FACETS`.
        intervals: the intervals to count; rows outside are not read.
        where: conditions on the rows.
        using: the database alias; by default that of reads.

    Returns:
        The counts by the index of the interval and the value of the facet, which is
        :data:`tracking.rollups.counts.OTHER` for all values of a list but the largest. Uniques
        are those of one interval and value.
    """
    found = cells([name], [Run(0, intervals)], where, using)
    return {(cell.interval, cell.value): cell.counts for cell in found}


def cells(
    names: Collection[str],
    runs: Sequence[Run],
    where: Where = NO_FILTER,
    using: str | None = None,
    lists_from: int = 0,
) -> Iterator[Cell]:
    """Yield the counts of some facets, in one statement for each table.

    Args:
        names: some of :data:`tracking.rollups.site_counts.FACETS`.
        runs: the intervals to count; rows outside are not read.
        where: conditions on the rows.
        using: the database alias; by default that of reads.
        lists_from: the index of the first interval for which facets of lists are counted.
    """
    using = using or router.db_for_read(Beacon)
    plain = WholeTextSql.of(using).plain("value")
    for table in TIMES:
        of_table = [name for name in names if FACETS[name].table == table]
        if not of_table:
            continue
        counted = CountedTable(table, of_table, lists_from=lists_from)
        statement = counted.statement(runs, where, using)
        if statement is None:
            continue
        sql = f"WITH {statement.sql} SELECT facet, cell, {plain}, is_other, {_NUMBERS} FROM cells"
        with connections[using].cursor() as cursor:
            cursor.execute(sql, statement.parameters)
            for facet, interval, value, is_other, *numbers in cursor:
                counts = Counts(*map(int, numbers))
                yield Cell(facet, interval, OTHER if is_other else value, counts)


_NUMBERS = "total, uniques, bounces, length, pages"


class ListKind(NamedTuple):
    """What a list of values counts.

    Attributes:
        facets: one or two of :data:`tracking.rollups.site_counts.FACETS` that are lists, of one
            table. Those of two are added up.
        has_none: whether it has a line for rows without a value.
    """

    facets: Sequence[str]
    has_none: bool


class CountedTable(NamedTuple):
    """A table and the facets to count it by.

    Attributes:
        table: one of :data:`tracking.rollups.site_counts.TIMES`.
        names: its facets.
        lists: lists by name, whose facets are among them.
        lists_from: the index of the first interval for which facets of lists are counted.
    """

    table: str
    names: Sequence[str]
    lists: Mapping[str, ListKind] = {}
    lists_from: int = 0

    def statement(self, runs: Sequence[Run], where: Where, using: str) -> Statement | None:
        """Return common table expressions that count.

        The last is ``cells``, with the columns facet, cell (the index of the interval), value (as
        :class:`tracking.rollups.sql_text.WholeText`), is_other and all :class:`Counts`.

        Args:
            runs: the intervals to count.
            where: conditions on the rows.
            using: the database alias.

        Returns:
            The expressions, or ``None`` if there cannot be any rows.
        """
        read = [self._read(run, where, using) for run in runs]
        found = [statement for statement in read if statement is not None]
        if not found:
            return None
        scan = f"scan ({', '.join(self._columns())}) AS ({largest_values.union(_sql(found))})"
        grouped = [self._grouped(name, using) for name in self.names]
        tables, selects = [one for one, _ in grouped if one.sql], [one for _, one in grouped]
        counted = largest_values.union(_sql(selects))
        cells = f"cells (facet, cell, value, is_other, {_NUMBERS}) AS ({counted})"
        return Statement(
            ",\n".join([scan, *_sql(tables), cells]),
            tuple(value for part in [*found, *tables, *selects] for value in part.parameters),
        )

    def lines(
        self,
        stored: Sequence[Statement],
        runs: Sequence[Run],
        where: Where,
        *,
        limit: int | None,
        offset: int,
        using: str,
    ) -> Iterator[ListRow | Cell]:
        """Yield lines of the lists and the counts of the facets that are no lists.

        Args:
            stored: stored counts, as parts of the lists.
            runs: the intervals to count.
            where: conditions on the rows.
            limit: the maximum number of lines of a page, or ``None`` for all.
            offset: the number of lines before the page.
            using: the database alias.
        """
        if not self.lists:
            yield from cells(self.names, runs, where, using)
            return
        counted = self.statement(runs, where, using)
        others = [name for name in self.names if not FACETS[name].is_list]
        parts, tables, further = [*stored], Statement("", ()), Statement("", ())
        if counted is not None:
            parts += _parts(self.lists)
            tables = Statement(f"{counted.sql},\n", counted.parameters)
        if counted is not None and others:
            # In the columns of a line: list, value, is_other, figure, four numbers, place.
            plain = WholeTextSql.of(using).plain("value")
            among = ", ".join(f"'{name}'" for name in others)
            sql = f"SELECT facet, {plain}, 0, cell, {_NUMBERS}, 0, 0 FROM cells"
            further = Statement(f"{sql} WHERE facet IN ({among})", ())
        page: dict[str, Any] = {"limit": limit, "offset": offset, "using": using}
        for row in list_lines(self.lists, parts, **page, tables=tables, further=further):
            if row.name in self.lists:
                yield row
            else:
                yield Cell(row.name, row.figure, row.value, Counts(*row.numbers, row.place))

    def _columns(self) -> dict[str, Any]:
        """Return the columns to read but that of the interval, which is the first."""
        columns: dict[str, Any] = {"cell": None, **PEOPLE[self.table]}
        for name in self.names:
            if FACETS[name].by is not None:
                columns[_value_column(name)] = _value(FACETS[name])
        if "visits" in self.names:
            length = ExpressionWrapper(F("ended_at") - F("started_at"), DurationField())
            columns |= {"seen": F("page_views"), "duration": Microseconds(length)}
        return columns

    def _read(self, run: Run, where: Where, using: str) -> Statement | None:
        rows = rows_of(self.table, run.intervals, where)
        if rows is None:
            return None
        conditions = [FACETS[name].condition for name in self.names]
        if all(conditions):
            rows = rows.filter(reduce(or_, conditions))
        cell = run.intervals.index_expression(TIMES[self.table])
        columns = self._columns() | {"cell": cell + run.offset if run.offset else cell}
        rows = rows.order_by().annotate(**{f"of_{name}": one for name, one in columns.items()})
        return Statement.of(rows.values_list(*(f"of_{name}" for name in columns)), using)

    def _grouped(self, name: str, using: str) -> tuple[Statement, Statement]:
        """Return common table expressions, if any, and a SELECT that is a part of ``cells``."""
        people = list(PEOPLE[self.table])
        if FACETS[name].is_list:
            value = _value_column(name)
            columns = ", ".join(["cell", value, *people])
            sql = (
                f"SELECT {columns}, COUNT(*) FROM scan WHERE {value} IS NOT NULL AND cell >= %s "
                f"GROUP BY {columns}"
            )
            grouped = Statement(sql, (self.lists_from,))
            tables, largest = largest_values.cut(name, grouped, people, FACETS[name].figure, using)
            return tables, Statement(
                f"SELECT '{name}', cell, value, is_other, total, uniques, 0, 0, 0 "
                f"FROM ({largest.sql}) AS of_{name}",
                largest.parameters,
            )
        if FACETS[name].of_states:
            return Statement("", ()), self._by_state(name, using)
        has_values = FACETS[name].by is not None
        value = _value_column(name) if has_values else WholeTextSql.of(using).empty
        columns = ", ".join(["cell", *people, *([value] if has_values else [])])
        further = _OF_VISITS if name == "visits" else _NONE_OF_VISITS
        return Statement("", ()), Statement(
            f"SELECT '{name}', cell, value, 0, SUM(n), COUNT({people[-1]}), SUM(bounces), "
            f"SUM(length), SUM(pages) FROM (SELECT cell, {value} AS value, {people[-1]}, "
            f"COUNT(*) AS n, {further} FROM scan GROUP BY {columns}) AS of_{name} "
            "GROUP BY cell, value",
            (),
        )

    def _by_state(self, name: str, using: str) -> Statement:
        """Return a SELECT of recipients by state, as part of ``cells``."""
        people, rank, literal = (
            [*PEOPLE[self.table]],
            _value_column(name),
            WholeTextSql.of(using).literal,
        )
        columns = ", ".join(["cell", *people])
        names = " ".join(f"WHEN {rank_of_state(one)} THEN {literal(one)}" for one in STATES)
        return Statement(
            f"SELECT '{name}', cell, CASE best {names} END, 0, SUM(n), COUNT({people[-1]}), "
            "0, 0, 0 "
            f"FROM (SELECT {columns}, MAX({rank}) AS best, COUNT(*) AS n FROM scan "
            f"WHERE {rank} IS NOT NULL GROUP BY {columns}) AS of_{name} GROUP BY cell, best",
            (),
        )


#: Further numbers of visits, shown for all of them only.
_OF_VISITS = (
    "SUM(CASE WHEN seen = 1 THEN 1 ELSE 0 END) AS bounces, "
    "SUM(duration) AS length, SUM(seen) AS pages"
)
_NONE_OF_VISITS = "0 AS bounces, 0 AS length, 0 AS pages"


def tables(
    facets: Collection[str], lists: Mapping[str, ListKind], lists_from: int
) -> Iterator[CountedTable]:
    """Yield the tables to count for some facets and lists.

    Args:
        facets: facets that are no lists.
        lists: lists by name.
        lists_from: the index of the first interval of the lists.
    """
    for table in TIMES:
        of_table = {
            name: kind for name, kind in lists.items() if FACETS[kind.facets[0]].table == table
        }
        names = [name for name in facets if FACETS[name].table == table]
        names += [name for kind in of_table.values() for name in kind.facets]
        if names:
            yield CountedTable(table, names, of_table, lists_from)


def list_lines(
    kinds: Mapping[str, ListKind], parts: Sequence[Statement], **options: Any
) -> Iterator[ListRow]:
    """Yield lines of lists: see :func:`tracking.rollups.largest_values.lists`.

    Args:
        kinds: the lists by name.
        parts: the counts to be added up.
        options: further arguments of that function.
    """
    by_uniques = [
        name for name, kind in kinds.items() if FACETS[kind.facets[0]].figure == "uniques"
    ]
    with_none = [name for name, kind in kinds.items() if kind.has_none]
    return largest_values.lists(parts, by_uniques=by_uniques, with_none=with_none, **options)


def _parts(kinds: Mapping[str, ListKind]) -> Iterator[Statement]:
    """Yield the parts of lists that are in ``cells``."""
    for name, kind in kinds.items():
        for part, facet in enumerate(kind.facets):
            yield Statement(
                f"SELECT %s, {part}, value, is_other, total, uniques FROM cells WHERE facet = %s",
                (name, facet),
            )


def _value_column(name: str) -> str:
    return f"value_{name}"


def _value(facet: Facet) -> Combinable:
    """Return the value of a facet, ``NULL`` for rows that it does not count."""
    value = facet.by
    if facet.of_states:
        return Case(When(facet.condition, then=value), output_field=IntegerField())
    if facet.condition:
        value = Case(When(facet.condition, then=value), output_field=TextField())
    return WholeText(value)


def _sql(statements: Sequence[Statement]) -> list[str]:
    return [statement.sql for statement in statements]


class Microseconds(Func):
    """A duration in microseconds, as a number."""

    template = "%(expressions)s"
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Other databases have numbers already."""
        return self.as_sql(
            compiler,
            connection,
            template="CAST(EXTRACT(EPOCH FROM %(expressions)s) * 1000000 AS bigint)",
            **context,
        )
