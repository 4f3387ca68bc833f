"""Hits become beacons."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, overload
from uuid import UUID

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connections, router, transaction

from tracking.callbacks import renamed
from tracking.db.column_values import existing_keys, replace_nul, storable_text, storable_time
from tracking.db.inserts import Row, insert
from tracking.db.parameters import LEAVE_TO_DJANGO, ParameterConverters, converters_for
from tracking.db.retry import retry_on_deadlock
from tracking.enrichment import enrich
from tracking.enrichment.verdict_rules import Label, describes_reader
from tracking.hits import ROLES, Hit, Kind
from tracking.models import Beacon
from tracking.models.base import EnrichmentColumns
from tracking.recording import written_batches
from tracking.rollups import late
from tracking.signals import announce, beacon_recorded, beacons_recorded

logger = logging.getLogger(__name__)

#: Where ``data`` keeps a reference to a model that this site does not have.
UNRESOLVED = "unresolved"

#: What is told by the address of a hit, and what by its user agent. The others of
#: :class:`EnrichmentColumns` are blank where nothing is concluded.
_PLACE = ("country", "region", "city", "latitude", "longitude")
_AGENT = ("browser", "os", "device", "verdict", "verdict_reason")
_BLANK = {field.name: field.get_default() for field in EnrichmentColumns._meta.local_fields}

#: The columns of a row, in the order in which ``Rows`` makes them.
COLUMNS = (
    *("id", "kind", "time", "data", "url", "referrer"),
    *(column for role in ROLES for column in (f"{role}_type_id", f"{role}_id")),
    "visitor_id",
    *("user_agent", *_AGENT),
    *("ip_address", *_PLACE),
)


def write(hits: Sequence[Hit], receipt: UUID | None = None) -> Sequence[Beacon]:
    """Write a batch of hits, each one once, and tell who listens.

    Args:
        hits: what was observed.
        receipt: the key under which they are noted as written, together with the rows.

    Returns:
        The beacons that are new rows. Each is made when it is asked for.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    if not hits:
        return []
    using = router.db_for_write(Beacon)
    each_once = list({hit.id: hit for hit in hits}.values())
    new = _insert(each_once, using, receipt)
    if not new:
        return []
    written = _Written(new, using)
    _tell(written)
    return written


def _insert(hits: Sequence[Hit], using: str, receipt: UUID | None) -> Sequence[Hit]:
    """Insert the rows of hits as far as they are not there yet, and return whose they are."""
    rows = Rows(using, converters_for(connections[using]))
    rows.know_types(hits)
    missing = hits
    while missing:
        try:
            retry_on_deadlock(
                using,
                lambda: _insert_all(missing, rows, using, receipt),  # noqa: B023 - run at once
            )
        except IntegrityError:
            if receipt is not None and written_batches.known([receipt]):
                return []
            # Delivered before, all or some: rare, and so worth a second look at the table
            # rather than a slower statement for every batch. Another process may deliver
            # the rest meanwhile; each round leaves fewer.
            known = existing_keys(Beacon.objects.using(using), [hit.id for hit in missing])
            if not known:
                raise
            missing = [hit for hit in missing if hit.id not in known]
        else:
            return missing
    if receipt is not None:
        written_batches.ensure(receipt)
    return []


def _insert_all(hits: Sequence[Hit], rows: "Rows", using: str, receipt: UUID | None) -> None:
    late_days = late.days(hit.time for hit in hits)
    if receipt is None and not late_days:
        insert(Beacon, COLUMNS, hits, rows.of, using)
        return
    with transaction.atomic(using=using):
        if receipt is not None:
            written_batches.note(receipt, using)
        insert(Beacon, COLUMNS, hits, rows.of, using, savepoint=False)
        if late_days:
            late.note(late_days, using)


def _tell(written: Sequence[Beacon]) -> None:
    if beacon_recorded.has_listeners(Beacon):
        for beacon in written:
            announce(beacon_recorded, Beacon, beacon=beacon)
    if beacons_recorded.has_listeners(Beacon):
        announce(beacons_recorded, Beacon, beacons=written)


class _Sender(NamedTuple):
    """What a user agent says, for all hits that have it.

    Attributes:
        is_human: whether the browser is a person's own.
        has_place: whether the address is the person's.
        columns: the agent itself, and ``_AGENT``.
    """

    is_human: bool
    has_place: bool
    columns: Row


class Rows:
    """The rows of one batch. What hits have in common is found out once.

    Args:
        using: the alias of the database.
        converters: convert values for it.
    """

    def __init__(self, using: str, converters: ParameterConverters) -> None:
        self._using = using
        self._converters = converters
        self._senders: dict[tuple[str, bool], _Sender] = {}
        self._addresses: dict[tuple[str | None, bool], Row] = {}
        self._types: dict[str, Any] = {}

    def know_types(self, hits: Iterable[Hit]) -> None:
        """Look up what the hits are tied to, so that ``of`` asks nothing of the database."""
        tied = (tied for hit in hits for tied in (hit.source, hit.entity, hit.target) if tied)
        for label in {reference.label for reference in tied}:
            if self._type(label) is None:
                # A token of another site that shares our secrets, or of a model since removed.
                logger.warning("Hits are tied to the unknown model %s; kept in their data.", label)

    def of(self, hit: Hit) -> Row:
        """Return the values of ``COLUMNS``, without anything that a database would refuse."""
        converters = self._converters
        kind, visitor = hit.kind, hit.visitor
        agent = (hit.user_agent, kind == _OPEN)
        sender = self._senders.get(agent) or self._sender(agent)
        address = (hit.ip_address, sender.has_place)
        tied, unresolved = self._tied(hit)
        data = hit.data
        if unresolved:
            data = {UNRESOLVED: unresolved, **renamed(data, [UNRESOLVED])}
        return (
            converters.uuid(hit.id),
            _KINDS.get(kind) or _plain(kind),
            converters.time(storable_time(hit.time)),
            converters.json(data),
            replace_nul(hit.url),
            storable_text(hit.referrer),
            *tied,
            # A machine that fetches for others is the browser of none of them.
            _plain(visitor) if visitor is not None and sender.is_human else None,
            *sender.columns,
            *(self._addresses.get(address) or self._address(address)),
        )

    def _sender(self, agent: tuple[str, bool]) -> _Sender:
        user_agent, is_open = agent
        found = enrich.enrich_user_agent(user_agent, is_open=is_open)
        columns = (_plain(found.get(name, _BLANK[name])) for name in _AGENT)
        sender = _Sender(
            is_human=found["verdict"] == Label.HUMAN,
            has_place=describes_reader(found["verdict"]),
            columns=(storable_text(user_agent), *columns),
        )
        self._senders[agent] = sender
        return sender

    def _address(self, key: tuple[str | None, bool]) -> Row:
        address, has_place = key
        place = enrich.enrich_address(address) if has_place else {}
        columns = (
            self._converters.ip_address(address),
            *(self._place(place) if place else _NOWHERE),
        )
        self._addresses[key] = columns
        return columns

    def _place(self, found: Mapping[str, Any]) -> Row:
        number = self._converters.number
        country, region, city, latitude, longitude = (found[name] for name in _PLACE)
        return _plain(country), _plain(region), _plain(city), number(latitude), number(longitude)

    def _tied(self, hit: Hit) -> tuple[list[Any], dict[str, list[str]]]:
        """Return the columns of the three roles, and the references that lead nowhere."""
        columns: list[Any] = []
        unresolved = {}
        for role, reference in zip(ROLES, _references(hit), strict=True):
            if reference is None:
                columns += _UNTIED
                continue
            label, pk = reference
            content_type = self._types.get(label) or self._type(label)
            if content_type is None:
                columns += _UNTIED
                unresolved[role] = [label, pk]
            else:
                columns += (content_type, replace_nul(pk))
        return columns, unresolved

    def _type(self, label: str) -> Any:
        """Return the key of the content type of a model, ``None`` if there is no such model."""
        if label not in self._types:
            found = _content_type(label, self._using)
            self._types[label] = found and self._converters.number(found.pk)
        return self._types[label]


_OPEN = Kind.OPEN.value
#: Members of the enumeration, which are texts too, and as such alone.
_KINDS: dict[str, str] = {key: kind.value for kind in Kind for key in (kind, kind.value)}
_references = attrgetter(*ROLES)
_UNTIED = (None, None)
_NOWHERE = tuple(_BLANK[name] for name in _PLACE)


def _plain(value: str | None) -> str | None:
    """Return a text that may be a member of an enumeration, as text alone."""
    return None if value is None else replace_nul(str(value))


class _Written(Sequence[Beacon]):
    """The beacons of a batch, each of them made when it is first asked for.

    Most batches are written without anybody who asks.
    """

    def __init__(self, hits: Sequence[Hit], using: str) -> None:
        self._hits = hits
        self._rows = Rows(using, LEAVE_TO_DJANGO)
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
        return None
    return ContentType.objects.db_manager(using).get_for_model(model)
