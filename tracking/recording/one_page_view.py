"""One page view becomes rows in as few statements as the database allows.

    save_page_view(hit) or save_page_views([hit])

The code for batches reads a visitor and its visits, changes them in memory and writes them back.
Here the statements themselves decide, so nothing is read:

1. The visitor is inserted or updated. That locks its row until the end of the transaction.
2. Its current visit is updated, or a new one inserted.
3. The page view is inserted. On PostgreSQL the second statement does that, too.

The first two cannot be one: a statement sees the rows as they were when it began, so it would
decide about the visit by what was true before it got the lock, and two pages that arrive at the
same moment would begin two visits.

Only usual pages are saved here: the latest one of the visitor, in a new visit or in the current
one. For any other page the second statement finds nothing to write. All is rolled back then, and
the page is left to the code for batches, which knows all cases.
"""

from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Self

from django.db import IntegrityError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tracking.conf import conf
from tracking.db import upserts
from tracking.db.column_values import storable_text, storable_time
from tracking.db.parameters import converters_for
from tracking.db.retry import retry_transaction
from tracking.db.upserts import PlainRow, SqlDialect
from tracking.hits import PageHit
from tracking.models import PageView, Visit, Visitor
from tracking.models.visitors import VISIT_GAP
from tracking.recording import midnight
from tracking.recording.visit_history import ORIGIN_COLUMNS, origin_columns
from tracking.recording.visitors import BROWSER_COLUMNS, LATEST_COLUMNS, VisitorHits
from tracking.recording.visits import send_signals
from tracking.rollups import days

#: What each database counts when an upsert inserts or updates one row.
_COUNTS_OF_ONE_ROW = {"sqlite": {1}, "postgresql": {1}, "mysql": {1, 2}}


def save_page_view(hit: PageHit) -> bool:
    """Save one page hit and send the signal, if it is a usual one.

    Args:
        hit: the page hit; its time is not in the future.

    Returns:
        Whether it was saved. If not, nothing was.

    Raises:
        django.db.DatabaseError: the database failed; nothing was saved.
    """
    using = router.db_for_write(Visitor)
    connection = connections[using]
    today = storable_time(days.start_of(days.today())) + midnight.TIME_BETWEEN
    if (
        connection.vendor not in _COUNTS_OF_ONE_ROW
        or storable_time(hit.time) < today  # days before may be counted already
        or hit.previous_visitor is not None
    ):
        return False
    visitor = VisitorHits.of([hit]).row
    save = partial(_save, visitor, _values(hit, today, connection), connection)
    try:
        saved = retry_transaction(using, save)
    except IntegrityError:  # the hit was delivered before
        return False
    if saved:
        send_signals([hit], using)
    return saved


def _values(hit: PageHit, today: datetime, connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return the named parameters of the statements."""
    convert = converters_for(connection)
    time = storable_time(hit.time)
    return {
        "id": convert.uuid(hit.id),
        "visitor": hit.visitor,
        "time": convert.time(time),
        "gap_start": convert.time(time - VISIT_GAP),
        "gap_end": convert.time(time + VISIT_GAP),
        "today": convert.time(today),
        "knows_user": hit.user is not None,
        "knows_session": hit.session_key is not None,
        "referrer": storable_text(hit.referrer),
        **origin_columns(hit),
    }


def _save(visitor: PlainRow, values: dict[str, Any], connection: BaseDatabaseWrapper) -> bool:
    """Save a page, or roll back and return ``False`` if it is not a usual one."""
    using = connection.alias
    statements = _Statements.of(connection)
    with transaction.atomic(using=using), connection.cursor() as cursor:
        state = [values["gap_start"], values["gap_start"], values["knows_session"]]
        upserts.upsert(Visitor, [visitor], "key", _assignments, using, state)
        cursor.execute(statements.visit, values)
        is_usual = cursor.rowcount in _COUNTS_OF_ONE_ROW[connection.vendor]
        if not is_usual:
            transaction.set_rollback(True, using)
        elif statements.page_view:
            cursor.execute(statements.page_view, values)
    return is_usual


def _assignments(sql: SqlDialect) -> list[str]:
    """Return the assignments for a visitor who is known, with three parameters.

    They are the time since which the visitor's last page belongs to the same visit, twice, and
    whether the page has used a session.

    A page that has not read ``request.user`` says nothing about the user: ``user_known_at`` is
    NULL in its row.
    """
    new, old = sql.incoming, sql.existing

    def keep_if(condition: str, column: str) -> str:
        value = f"CASE WHEN {condition} THEN {old(column)} ELSE {new(column)} END"
        return f"{sql.quote(column)} = {value}"

    is_in_visit = f"{old('last_update')} > %s"
    no_user = f"{new('user_known_at')} IS NULL"
    same_user = (
        f"{old('user_id')} = {new('user_id')} "
        f"OR {old('user_id')} IS NULL AND {new('user_id')} IS NULL"
    )
    is_older = f"{no_user} OR {new('user_known_at')} < {old('user_known_at')}"
    return [
        f"{sql.quote('page_views')} = {old('page_views')} + {new('page_views')}",
        f"{sql.quote('has_cookie')} = {old('has_cookie')} OR {new('has_cookie')}",
        *(sql.overwrite(column) for column in LATEST_COLUMNS),
        keep_if(is_in_visit, "session_start"),
        keep_if(is_in_visit, "referrer"),
        keep_if("NOT %s", "session_key"),
        # MySQL evaluates these from left to right, each with the values set before.
        keep_if(f"{no_user} OR {same_user}", "logged_in_at"),
        keep_if(no_user, "user_id"),
        keep_if(is_older, "user_known_at"),
        keep_if(f"{new('last_update')} < {old('last_update')}", "last_update"),
    ]


class _Statements(NamedTuple):
    """The statements after that of the visitor.

    Attributes:
        visit: inserts or updates the visit.
        page_view: inserts the page view; ``""`` if ``visit`` does, or if there are none.
    """

    visit: str
    page_view: str

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper) -> "_Statements":
        """Return the statements for a database."""
        key = (
            connection.vendor,
            conf.page_views,
            *(model._meta.db_table for model in (Visitor, Visit, PageView)),
        )
        if key not in _statements:
            _statements[key] = cls._build(connection)
        return _statements[key]

    @classmethod
    def _build(cls, connection: BaseDatabaseWrapper) -> Self:
        visit = _visit_sql(connection)
        if not conf.page_views:
            return cls(visit, "")
        page_views = connection.ops.quote_name(PageView._meta.db_table)
        insert = (
            f"INSERT INTO {page_views} (id, visit_id, time, url) "
            "SELECT %(id)s, visit.id, visit.ended_at, visit.exit_url FROM"
        )
        if connection.vendor == "postgresql":
            saved = f"WITH visit AS ({visit} RETURNING id, ended_at, exit_url)"
            return cls(f"{saved} {insert} visit", "")
        visits = connection.ops.quote_name(Visit._meta.db_table)
        return cls(
            visit,
            f"{insert} {visits} visit "
            "WHERE visit.visitor_id = %(visitor)s AND visit.ended_at = %(time)s",
        )


_statements: dict[tuple[Any, ...], _Statements] = {}


def _visit_sql(connection: BaseDatabaseWrapper) -> str:
    """Return the upsert of the visit. It writes no row for a page that is not usual."""
    sql = SqlDialect.of(Visit, connection)
    visitors, key = sql.quote(Visitor._meta.db_table), sql.quote("key")
    columns = {
        "id": "COALESCE(latest.id, %(id)s)",
        "visitor_id": f"visitor.{key}",
        "user_id": "CASE WHEN %(knows_user)s THEN visitor.user_id END",
        "started_at": "visitor.last_update",
        "ended_at": "visitor.last_update",
        "entry_url": "visitor.url",
        "exit_url": "visitor.url",
        "page_views": "1",
        "referrer": "visitor.referrer",
        **{column: f"%({column})s" for column in ORIGIN_COLUMNS},
        **{column: f"visitor.{column}" for column in BROWSER_COLUMNS},
    }
    assignments = [
        sql.overwrite("ended_at"),
        sql.overwrite("exit_url"),
        f"page_views = {sql.existing('page_views')} + 1",
        f"user_id = COALESCE({sql.incoming('user_id')}, {sql.existing('user_id')})",
    ]
    return (
        f"INSERT INTO {sql.table} ({', '.join(columns)}) "  # noqa: S608 - names of the models' own
        f"SELECT {', '.join(columns.values())} FROM {visitors} visitor "
        f"LEFT JOIN {sql.table} latest ON {_is_near('latest', key)} "
        f"WHERE visitor.{key} = %(visitor)s "
        # Neither a later page nor a later log-out of the visitor is known.
        "AND visitor.last_update = %(time)s "
        "AND (visitor.user_known_at IS NULL OR visitor.user_known_at <= %(time)s) "
        # The first statement has begun a new visit if and only if no visit is near.
        "AND (latest.id IS NOT NULL "
        "OR visitor.session_start = %(time)s AND visitor.referrer = %(referrer)s) "
        # A visit that is near is the visitor's current one, and began today.
        f"AND NOT EXISTS (SELECT 1 FROM {sql.table} other WHERE {_is_near('other', key)} "
        "AND (other.ended_at > %(time)s OR other.started_at < %(today)s "
        "OR other.started_at <> visitor.session_start OR other.referrer <> visitor.referrer))"
        f"{upserts.on_conflict(sql, 'id', assignments)}"
    )


def _is_near(visit: str, key: str) -> str:
    """Return the condition that the page belongs to a visit."""
    return (
        f"{visit}.visitor_id = visitor.{key} "
        f"AND {visit}.ended_at > %(gap_start)s AND {visit}.started_at < %(gap_end)s"
    )
