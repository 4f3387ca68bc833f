"""The last click of a person in a mailing before a moment, by recipient or by visitor.

All questions of a batch are one statement. Each is answered from the end of an index, and from at
most :data:`MAX_READ` rows: a stranger who sends millions of hits delays nobody.
"""
# ruff: noqa: S608 - all that strangers choose are parameters

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.contenttypes.models import ContentType
from django.db import connections

from tracking.db.chunks import in_batches
from tracking.db.column_values import replace_nul, storable_time
from tracking.db.parameters import converters_for
from tracking.db.selects import select
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind, Reference
from tracking.models import Beacon
from tracking.models.fields import content_types_for

#: The beacons of one recipient or visitor that are searched for its last click.
MAX_READ = 5_000

#: Questions of one statement. SQLite allows 999 parameters.
_QUESTIONS = 150


class Click(NamedTuple):
    """A click of a person in a mailing. The later one is the larger one.

    Attributes:
        time: when.
        id: the key of its beacon.
        source: the mailing.
        entity: the recipient, if it is known.
    """

    time: datetime
    id: UUID
    source: Reference
    entity: Reference | None


class Question(NamedTuple):
    """Which click was the last one of somebody before a moment?

    Attributes:
        who: the recipient, or the key of the visitor.
        time: the moment.
    """

    who: Reference | str
    time: datetime


def find(questions: Iterable[Question], within: timedelta, using: str) -> Mapping[Question, Click]:
    """Return the last clicks, as far as there are any.

    Args:
        questions: the questions.
        within: how long before the moment a click may be.
        using: the database alias.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    found: dict[Question, Click] = {}
    references = _References(using)
    for some in in_batches(dict.fromkeys(questions), _QUESTIONS):
        parts, parameters = [], []
        for number, question in enumerate(some):
            condition = references.condition(question.who)
            if condition is not None:
                parts.append(_part(number, condition[0]))
                parameters += [*condition[1], *_span(question.time, within, using)]
        if not parts:
            continue
        for number, time, key, *row in select(
            " UNION ALL ".join(parts), parameters, _FIELDS, using
        ):
            source, entity = references.reference(*row[:2]), references.reference(*row[2:])
            if source is not None:
                found[some[number]] = Click(time, key, source, entity)
    return found


_NAMES = ("time", "id", "source_type_id", "source_id", "entity_type_id", "entity_id")
_FIELDS = (None, Beacon._meta.get_field("time"), Beacon._meta.pk, None, None, None, None)
_LATEST = "ORDER BY time DESC, id DESC LIMIT"


def _part(number: int, condition: str) -> str:
    # The condition on the kind is outside: an index must lead to the latest of all beacons, or
    # the database would read those of all times.
    columns = ", ".join(_NAMES)
    return (
        f"SELECT * FROM (SELECT {number} AS question, {columns} FROM ("
        f"SELECT kind, verdict, {columns} FROM {Beacon._meta.db_table} "
        f"WHERE {condition} AND time BETWEEN %s AND %s ORDER BY time DESC LIMIT {MAX_READ}"
        f") AS latest_{number} WHERE kind = '{Kind.CLICK.value}' "
        f"AND verdict = '{Label.HUMAN.value}' AND source_type_id IS NOT NULL "
        f"AND source_id IS NOT NULL {_LATEST} 1) AS part_{number}"
    )


def _span(time: datetime, within: timedelta, using: str) -> Sequence[Any]:
    convert = converters_for(connections[using]).time
    stored = storable_time(time)
    return convert(stored - within), convert(stored)


class _References:
    """References as beacons store them. Each content type is looked up once."""

    def __init__(self, using: str) -> None:
        self._types = content_types_for(using)

    def condition(self, who: Reference | str) -> tuple[str, list[Any]] | None:
        """Return the condition that a beacon is of somebody, or ``None`` for an unknown model."""
        if isinstance(who, str):
            return "visitor_id = %s", [replace_nul(who)]
        app_label, _dot, model = who.label.partition(".")
        try:
            content_type = self._types.get_by_natural_key(app_label, model)
        except ContentType.DoesNotExist:
            return None
        return "entity_type_id = %s AND entity_id = %s", [content_type.pk, replace_nul(who.pk)]

    def reference(self, type_id: int | None, pk: str | None) -> Reference | None:
        """Return a reference, or ``None`` if there is none or its model is gone."""
        if type_id is None or pk is None:
            return None
        try:
            content_type = self._types.get_for_id(type_id)
        except ContentType.DoesNotExist:
            return None
        return Reference(f"{content_type.app_label}.{content_type.model}", pk)
