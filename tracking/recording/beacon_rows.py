"""The column values of beacons."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.contenttypes.models import ContentType

from tracking.db.column_values import replace_nul, storable_text, storable_time
from tracking.db.inserts import Row
from tracking.db.parameters import ParameterConverters
from tracking.enrichment import enrich
from tracking.enrichment.referrers import spelled
from tracking.enrichment.verdict_rules import Label, describes_reader
from tracking.hits import ROLES, Hit, Kind, MailReport
from tracking.log_limits import get_logger
from tracking.models.base import EnrichmentColumns
from tracking.models.fields import content_types_for
from tracking.pixel_callbacks import rename_keys

logger = get_logger(__name__)

#: The key in ``data`` of references to models that this site does not have.
UNRESOLVED = "unresolved"

#: The columns that depend on the address, and those that depend on the user agent.
_LOCATION_COLUMNS = ("country", "region", "city", "latitude", "longitude")
_AGENT_COLUMNS = ("browser", "os", "device", "verdict", "verdict_reason")
_BLANK = {field.name: field.get_default() for field in EnrichmentColumns._meta.local_fields}

#: The columns of a row, in the order of :meth:`BeaconRows.values_of`.
COLUMNS = (
    *("id", "kind", "time", "data", "url", "referrer"),
    *(column for role in ROLES for column in (f"{role}_type_id", f"{role}_id")),
    "visitor_id",
    *("user_agent", *_AGENT_COLUMNS),
    *("ip_address", *_LOCATION_COLUMNS),
)

#: The columns that only events have.
EVENT_COLUMNS = ("event_name", "event_value")


class _Sender(NamedTuple):
    """What all hits with one user agent share.

    Attributes:
        is_human: whether the browser is a person's own.
        has_location: whether the address is the person's.
        columns: the user agent and ``_AGENT_COLUMNS``.
    """

    is_human: bool
    has_location: bool
    columns: Row


class BeaconRows:
    """The rows of one batch. What several hits share is computed once."""

    def __init__(self, using: str, converters: ParameterConverters) -> None:
        """Start a batch.

        Args:
            using: the alias of the database.
            converters: convert values for that database.
        """
        self._using = using
        self._converters = converters
        self._senders: dict[tuple[str, bool], _Sender] = {}
        self._addresses: dict[tuple[str | None, bool], Row] = {}
        self._content_types: dict[str, Any] = {}

    def load_content_types(self, hits: Iterable[Hit]) -> None:
        """Load the content types of the hits, so that :meth:`values_of` makes no query."""
        labels = {ref.label for hit in hits for ref in (hit.source, hit.entity, hit.target) if ref}
        for label in labels:
            if self._content_type(label) is None:
                # The token is from another site with the same secrets, or the model was removed.
                logger.warning(
                    "Hits refer to the unknown model %s; the reference is kept in their data.",
                    label,
                )

    def layout(self, hits: Iterable[Hit]) -> tuple[Sequence[str], Callable[[Hit], Row]]:
        """Return the columns that the rows of some hits need, and what returns their values.

        Most batches have no events, and leave out the columns that only events have.

        Args:
            hits: the hits.
        """
        if any(hit.event_name for hit in hits):
            return (*COLUMNS, *EVENT_COLUMNS), self._values_of_event
        return COLUMNS, self.values_of

    def _values_of_event(self, hit: Hit) -> Row:
        name, value = replace_nul(hit.event_name) or None, hit.event_value
        if name is None or value is None:
            return (*self.values_of(hit), name, None)
        return (*self.values_of(hit), name, self._converters.decimal(value))

    def values_of(self, hit: Hit) -> Row:
        """Return the values of ``COLUMNS``, all of which any database accepts."""
        converters = self._converters
        kind, visitor = hit.kind, hit.visitor
        agent = (hit.user_agent, kind == _OPEN)
        sender = self._senders.get(agent) or self._sender(agent)
        if hit.report is not None and hit.report.verdict:
            sender = _judged(hit.report, sender)
        address = (hit.ip_address, sender.has_location)
        references, unresolved = self._reference_columns(hit)
        data = hit.data
        if unresolved:
            data = {UNRESOLVED: unresolved, **rename_keys(data, [UNRESOLVED])}
        return (
            converters.uuid(hit.id),
            _KINDS.get(kind) or _plain_text(kind),
            converters.time(storable_time(hit.time)),
            converters.json(data),
            replace_nul(hit.url),
            storable_text(spelled(hit.referrer)),
            *references,
            # A machine that fetches for people is nobody's browser.
            _plain_text(visitor) if visitor is not None and sender.is_human else None,
            *sender.columns,
            *(self._addresses.get(address) or self._address_columns(address)),
        )

    def columns_of(self, hit: Hit) -> dict[str, Any]:
        """Return the values of the row of one hit, by column."""
        columns, values_of = self.layout([hit])
        return dict(zip(columns, values_of(hit), strict=True))

    def _sender(self, agent: tuple[str, bool]) -> _Sender:
        user_agent, is_open = agent
        found = enrich.enrich_user_agent(user_agent, is_open=is_open)
        columns = (_plain_text(found.get(name, _BLANK[name])) for name in _AGENT_COLUMNS)
        sender = _Sender(
            is_human=found["verdict"] == Label.HUMAN,
            has_location=describes_reader(found["verdict"]),
            columns=(storable_text(user_agent), *columns),
        )
        self._senders[agent] = sender
        return sender

    def _address_columns(self, key: tuple[str | None, bool]) -> Row:
        address, has_location = key
        location = enrich.enrich_address(address) if has_location else {}
        columns = (
            self._converters.ip_address(address),
            *(self._location_columns(location) if location else _NO_LOCATION),
        )
        self._addresses[key] = columns
        return columns

    def _location_columns(self, location: Mapping[str, Any]) -> Row:
        number = self._converters.number
        country, region, city, latitude, longitude = (location[name] for name in _LOCATION_COLUMNS)
        return (
            _plain_text(country),
            _plain_text(region),
            _plain_text(city),
            number(latitude),
            number(longitude),
        )

    def _reference_columns(self, hit: Hit) -> tuple[list[Any], dict[str, list[str]]]:
        """Return the columns of the three roles, and the references to unknown models."""
        columns: list[Any] = []
        unresolved = {}
        for role, reference in zip(ROLES, _references(hit), strict=True):
            if reference is None:
                columns += _NO_REFERENCE
                continue
            label, pk = reference
            content_type = self._content_types.get(label) or self._content_type(label)
            if content_type is None:
                columns += _NO_REFERENCE
                unresolved[role] = [label, pk]
            else:
                columns += (content_type, replace_nul(pk))
        return columns, unresolved

    def _content_type(self, label: str) -> Any:
        """Return the key of the content type of a model, or ``None`` for an unknown model."""
        if label not in self._content_types:
            found = _find_content_type(label, self._using)
            self._content_types[label] = found and self._converters.number(found.pk)
        return self._content_types[label]


def _judged(report: MailReport, sender: _Sender) -> _Sender:
    """Return the sender of an event as its mail provider describes it."""
    label = Label(report.verdict)
    user_agent, browser, os, device, *_verdict = sender.columns
    if not describes_reader(label):
        browser = os = device = ""
    return _Sender(
        is_human=label == Label.HUMAN,
        has_location=describes_reader(label),
        columns=(user_agent, browser, os, device, label.value, report.reason),
    )


_OPEN = Kind.OPEN.value
#: Kinds as plain strings, by themselves and by their members of the enumeration.
_KINDS: dict[str, str] = {key: kind.value for kind in Kind for key in (kind, kind.value)}
_references = attrgetter(*ROLES)
_NO_REFERENCE = (None, None)
_NO_LOCATION = tuple(_BLANK[name] for name in _LOCATION_COLUMNS)


def _plain_text(value: str | None) -> str | None:
    """Return a string as a plain ``str``: it may be a member of an enumeration."""
    return None if value is None else replace_nul(str(value))


def _find_content_type(label: str, using: str) -> ContentType | None:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return None
    return content_types_for(using).get_for_model(model)
