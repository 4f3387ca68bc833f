"""The state of each recipient of a mailing, groups of states, and how many are in each.

A recipient has one state, the strongest that is true: :mod:`tracking.rollups.metric_definitions`.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db import connections
from django.db.models import Case, IntegerField, Max, Q, QuerySet, TextChoices, Value, When
from django.utils.translation import gettext_lazy as _

from tracking.models import Beacon
from tracking.reports.periods import BadQuery
from tracking.rollups import read
from tracking.rollups.largest_values import Statement
from tracking.rollups.metric_definitions import (
    CLICKS,
    STATES,
    TERMS,
    rank_of_state,
    state_rank,
)
from tracking.rollups.source_counts import SourceKey


class State(TextChoices):
    """The state of a recipient, the strongest first."""

    CONFIRMED = "confirmed", TERMS["confirmed"].title
    PROXIED = "proxied", TERMS["proxied"].title
    WITHOUT_IMAGE = "without_image", TERMS["without_image"].title
    MACHINE = "machine", TERMS["machine"].title
    NOTHING = "nothing", TERMS["nothing"].title


class Group(TextChoices):
    """A group of recipients. ``opened`` is three states; of them some have ``clicked``."""

    OPENED = "opened", TERMS["opened"].title
    CLICKED = "clicked", TERMS["clicked"].title


#: Some of the recipients.
Choice = State | Group

#: The name of all recipients among the numbers.
ALL = "all"

_STATES = {rank_of_state(state.value): state for state in State}

_OPENED = (State.CONFIRMED, State.PROXIED, State.WITHOUT_IMAGE)


def choice(text: str | None) -> Choice | None:
    """Return a state or a group by its name, or ``None`` for all recipients.

    Args:
        text: the name, or ``""`` or ``None`` for all.

    Raises:
        BadQuery: if there is none of this name.
    """
    if not text:
        return None
    for kind in (State, Group):
        if text in kind.values:
            return kind(text)
    raise BadQuery(str(_("Unknown state “%s”.")) % text[:40])


def state_of_rank(rank: int) -> State:
    """Return the state with a rank."""
    return _STATES[rank]


def condition(chosen: Choice) -> Q:
    """Return the condition on recipients with the columns ``rank`` and ``clicks``.

    Args:
        chosen: the state or group.
    """
    if chosen is Group.CLICKED:
        return Q(clicks__gt=0)
    if chosen is Group.OPENED:
        return Q(rank__gte=min(rank_of_state(state.value) for state in _OPENED))
    return Q(rank=rank_of_state(chosen.value))


def stored_numbers(
    source_key: SourceKey, ends: tuple[datetime, datetime]
) -> Mapping[str, int] | None:
    """Return the numbers of recipients from stored counts, or ``None`` if they are incomplete.

    Args:
        source_key: the source.
        ends: the times of its first and last beacon.

    Returns:
        The number of recipients by state and group, and that of :data:`ALL`.
    """
    known = read.stage_totals(source_key, ends)
    if known is None:
        return None
    stronger, numbers = 0, {}
    for name in STATES:
        numbers[name] = known.get(name, 0) - stronger
        stronger = known.get(name, 0)
    return {ALL: stronger, **numbers, **{name: known.get(name, 0) for name in Group.values}}


def count_numbers(rows: QuerySet[Beacon]) -> Mapping[str, int]:
    """Return the same, counted from beacons with an entity, in one query.

    Args:
        rows: the beacons.
    """
    has_clicked = Case(When(CLICKS, then=Value(1)), default=Value(0), output_field=IntegerField())
    each = rows.order_by().values("entity_type_id", "entity_id")
    each = each.annotate(best=Max(state_rank()), has_clicked=Max(has_clicked))
    numbers: Counter[str] = Counter(dict.fromkeys((ALL, *State.values, *Group.values), 0))
    statement = Statement.of(each.values_list("best", "has_clicked"), rows.db)
    if statement is None:
        return numbers
    columns = "best, has_clicked"
    sql = f"SELECT {columns}, COUNT(*) FROM ({statement.sql}) AS each_one GROUP BY {columns}"  # noqa: S608 - of our own queryset
    with connections[rows.db].cursor() as cursor:
        cursor.execute(sql, statement.parameters)
        for rank, clicked, number in cursor.fetchall():
            state = _STATES[rank]
            numbers[ALL] += number
            numbers[state.value] += number
            numbers[Group.OPENED.value] += number if state in _OPENED else 0
            numbers[Group.CLICKED.value] += number if clicked else 0
    return numbers
