"""Hits become beacons."""

import logging
from collections.abc import Sequence
from typing import Any, overload

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connections, router, transaction

from tracking.announcements import announce
from tracking.columns import known_keys, moment, text, without_nul
from tracking.conclusions import conclude
from tracking.hits import ROLES, Hit, Kind
from tracking.models import Beacon
from tracking.models.observed import Observed
from tracking.recording.deadlocks import again_after_deadlock
from tracking.recording.inserts import Row, insert
from tracking.recording.spelling import PLAIN, Spelling, spelling_for
from tracking.registry import renamed
from tracking.signals import beacon_recorded, beacons_recorded
from tracking.verdicts import Label

logger = logging.getLogger(__name__)

#: Where ``data`` keeps a reference to a model that this site does not have.
UNRESOLVED = "unresolved"

#: What is concluded, with what stands there where nothing is.
_CONCLUDED = {field.name: field.get_default() for field in Observed._meta.local_fields}

#: What an address and a user agent say; the same for all hits that have both.
_SENDER = ("ip_address", "user_agent", *_CONCLUDED)

#: The columns of a row, in the order in which ``Rows`` makes them.
COLUMNS = (
    *("id", "kind", "time", "data", "url", "referrer"),
    *(column for role in ROLES for column in (f"{role}_type_id", f"{role}_id")),
    "visitor_id",
    *_SENDER,
)


def write(hits: Sequence[Hit]) -> Sequence[Beacon]:
    """Write a batch of hits, each one once, and tell who listens.

    Args:
        hits: what was observed.

    Returns:
        The beacons that are new rows. Each is made when it is asked for.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    if not hits:
        return []
    using = router.db_for_write(Beacon)
    each_once = list({hit.id: hit for hit in hits}.values())
    concluded: _Concluded = {}
    rows = Rows(using, spelling_for(connections[using]), concluded)
    new = _insert(each_once, [rows.of(hit) for hit in each_once], using)
    if not new:
        return []
    written = _Written(new, Rows(using, PLAIN, concluded), using)
    _tell(written)
    return written


def _insert(hits: Sequence[Hit], rows: Sequence[Row], using: str) -> Sequence[Hit]:
    """Insert the rows of hits as far as they are not there yet, and return whose they are."""

    def attempt() -> None:
        with transaction.atomic(using=using):
            insert(Beacon, COLUMNS, rows, using)

    while hits:
        try:
            again_after_deadlock(using, attempt)
        except IntegrityError:
            # Delivered before, all or some: rare, and so worth a second look at the table
            # rather than a slower statement for every batch. Another process may deliver
            # the rest meanwhile; each round leaves fewer.
            known = known_keys(Beacon.objects.using(using), [hit.id for hit in hits])
            if not known:
                raise
            missing = [pair for pair in zip(hits, rows, strict=True) if pair[0].id not in known]
            hits, rows = [hit for hit, _row in missing], [row for _hit, row in missing]
        else:
            break
    return hits


def _tell(written: Sequence[Beacon]) -> None:
    if beacon_recorded.has_listeners(Beacon):
        for beacon in written:
            announce(beacon_recorded, Beacon, beacon=beacon)
    if beacons_recorded.has_listeners(Beacon):
        announce(beacons_recorded, Beacon, beacons=written)


#: By address, user agent and whether it is an open: what is in the columns, in their order.
_Concluded = dict[tuple[str | None, str, bool], tuple[Any, ...]]


class Rows:
    """The rows of one batch. What hits have in common is found out once."""

    def __init__(self, using: str, spelling: Spelling, concluded: _Concluded) -> None:
        self._using = using
        self._spelling = spelling
        self._concluded = concluded
        self._senders: dict[tuple[str | None, str, bool], tuple[bool, Row]] = {}
        self._types: dict[str, Any] = {}

    def of(self, hit: Hit) -> Row:
        """Return the values of ``COLUMNS``, without anything that a database would refuse."""
        spelling = self._spelling
        key = (hit.ip_address, hit.user_agent, hit.kind == Kind.OPEN)
        is_human, sender = self._senders.get(key) or self._sender(key)
        tied, unresolved = self._tied(hit)
        data = hit.data
        if unresolved:
            data = {UNRESOLVED: unresolved, **renamed(data, [UNRESOLVED])}
        return (
            spelling.key(hit.id),
            _plain(hit.kind),
            spelling.time(moment(hit.time)),
            spelling.data(data),
            without_nul(hit.url),
            text(hit.referrer),
            *tied,
            # A machine that fetches for others is the browser of none of them.
            _plain(hit.visitor) if is_human else None,
            *sender,
        )

    def _sender(self, key: tuple[str | None, str, bool]) -> tuple[bool, Row]:
        """Return whether that is a human, and the columns that tell of who has sent a hit."""
        address, user_agent, is_open = key
        if key not in self._concluded:
            found = {**_CONCLUDED, **conclude(address, user_agent, is_open=is_open)}
            self._concluded[key] = tuple(found.values())
        values = dict(zip(_CONCLUDED, self._concluded[key], strict=True))
        is_human = values["verdict"] == Label.HUMAN
        spelled = (
            self._spelling.number(value) if name in _NUMBERS else _plain(value)
            for name, value in values.items()
        )
        columns = (self._spelling.address(address), text(user_agent), *spelled)
        self._senders[key] = is_human, columns
        return is_human, columns

    def _tied(self, hit: Hit) -> tuple[Row, dict[str, list[str]]]:
        """Return the columns of the three roles, and the references that lead nowhere."""
        columns: list[Any] = []
        unresolved = {}
        for role in ROLES:
            reference = getattr(hit, role)
            if reference is None:
                columns += _UNTIED
            elif (content_type := self._type(reference.label)) is None:
                columns += _UNTIED
                unresolved[role] = list(reference)
            else:
                columns += (content_type, without_nul(reference.pk))
        return tuple(columns), unresolved

    def _type(self, label: str) -> Any:
        """Return the key of the content type of a model, ``None`` if there is no such model."""
        if label not in self._types:
            found = _content_type(label, self._using)
            self._types[label] = found and self._spelling.number(found.pk)
        return self._types[label]


_UNTIED = (None, None)
_NUMBERS = frozenset({"latitude", "longitude"})


def _plain(value: str | None) -> str | None:
    """Return a text that may be a member of an enumeration, as text alone."""
    return None if value is None else without_nul(str(value))


class _Written(Sequence[Beacon]):
    """The beacons of a batch, each of them made when it is first asked for.

    Most batches are written without anybody who asks.
    """

    def __init__(self, hits: Sequence[Hit], rows: Rows, using: str) -> None:
        self._hits = hits
        self._rows = rows
        self._using = using
        self._made: dict[int, Beacon] = {}

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, index: int) -> Beacon: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Beacon]: ...
    def __getitem__(self, index: int | slice) -> Beacon | Sequence[Beacon]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position not in self._made:
            self._made[position] = self._make(self._hits[position])
        return self._made[position]

    def __repr__(self) -> str:
        return repr(list(self))

    def _make(self, hit: Hit) -> Beacon:
        beacon = Beacon(**dict(zip(COLUMNS, self._rows.of(hit), strict=True)))
        beacon._state.adding = False
        beacon._state.db = self._using
        return beacon


def _content_type(label: str, using: str) -> ContentType | None:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        # A token of another site that shares our secrets, or of a model since removed.
        logger.warning("A hit is tied to the unknown model %s; kept in its data.", label)
        return None
    return ContentType.objects.db_manager(using).get_for_model(model)
