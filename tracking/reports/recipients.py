"""The recipients of a mailing, one by one, with the state of each.

Only recipients with an entity are listed: others have no name. All are counted in
:func:`tracking.reports.campaign`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import (
    CharField,
    Count,
    EmailField,
    F,
    Max,
    Min,
    Model,
    Q,
    QuerySet,
)

from tracking import generic_references
from tracking.hits import Kind, Reference
from tracking.models import Beacon
from tracking.reports.filters import type_of
from tracking.reports.recipient_states import (
    ALL,
    Choice,
    State,
    choice,
    condition,
    count_numbers,
    state_of_rank,
    stored_numbers,
)
from tracking.rollups import source_counts, stored_source
from tracking.rollups.metric_definitions import (
    CLICKS,
    HAS_ENTITY,
    OPENS,
    state_rank,
)
from tracking.rollups.source_counts import SourceKey

#: The default and the maximum number of recipients of a page.
LIMIT, MAX_LIMIT = 50, 1_000

#: The maximum number of objects that a search finds in each model.
MAX_FOUND = 500

#: Recipients whose objects are looked up in one query.
CHUNK = 500

#: The maximum number of recipients whose beacons are read alone, without and with those of the
#: same time as the last of them. SQLite allows 999 parameters.
MAX_NEWEST, _AT_ONCE = 500, 900

#: The number of newest beacons among which these are searched.
MAX_WALK = 5_000

#: Recipients to read for each one in a given state.
_FOR_ONE = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """One recipient of a mailing.

    Attributes:
        entity: the reference of the entity.
        label: its name, from the site's own object: escape it.
        exists: whether the object still exists.
        state: the strongest state that is true.
        sent_at: when the message was sent, or ``None`` if that was not recorded.
        first_at: the time of the first open or click, also by machines, or ``None``.
        last_at: the time of the last one, or ``None``.
        opens: images loaded by people, or by mail proxies for them.
        clicks: links followed by people.
    """

    entity: Reference
    label: str
    exists: bool
    state: State
    sent_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    opens: int
    clicks: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "entity": f"{self.entity.label}:{self.entity.pk}",
            "label": self.label,
            "exists": self.exists,
            "state": self.state.value,
            "sent_at": self.sent_at and self.sent_at.isoformat(),
            "first_at": self.first_at and self.first_at.isoformat(),
            "last_at": self.last_at and self.last_at.isoformat(),
            "opens": self.opens,
            "clicks": self.clicks,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipients:
    """A part of the recipients of a mailing, the latest to open or click first.

    Attributes:
        rows: the recipients.
        total: the number of all recipients that match search and state.
        numbers: the number of those that match the search, by state and group, and of ``all``.
        offset: the number of recipients before these.
        search: the searched text, or ``""``.
        state: the chosen state or group, or ``None`` for all.
        is_cut: whether the search found too many objects to use all of them.
    """

    rows: tuple[Recipient, ...]
    total: int
    numbers: Mapping[str, int]
    offset: int
    search: str
    state: Choice | None
    is_cut: bool = False

    @property
    def has_more(self) -> bool:
        """Whether more recipients follow."""
        return self.offset + len(self.rows) < self.total

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rows": [row.as_dict() for row in self.rows],
            "total": self.total,
            "numbers": dict(self.numbers),
            "offset": self.offset,
            "search": self.search,
            "state": self.state and self.state.value,
            "is_cut": self.is_cut,
        }


def recipients(
    source: Model | Reference,
    *,
    search: str = "",
    state: str | None = None,
    limit: int = LIMIT,
    offset: int = 0,
    searched: Callable[[type[Model]], bool] = lambda model: True,
    site: admin.AdminSite | None = None,
) -> Recipients:
    """Return a part of the recipients of a source object.

    Args:
        source: a saved row of any model, or its reference.
        search: a part of a name or address, ``""`` for all. It is searched in
            the ``search_fields`` of the model's page in the admin, else in its addresses of mail.
        state: one of :class:`State` or :class:`Group`, or ``None`` for all.
        limit: the maximum number of recipients.
        offset: the number of recipients to skip.
        searched: returns whether to search a model; by default all. A search reveals names as
            much as showing them.
        site: the admin site whose ``search_fields`` are used; by default any.

    Raises:
        BadQuery: if the state is unknown.
        LookupError: if the site has no such model.
    """
    chosen = choice(state)
    source_key = _source_key(source)
    ends = stored_source.ends(source_key, router.db_for_read(Beacon)).times
    rows = _entity_beacons(source_key)
    if ends is not None:
        # Without this, the index over entities leads to all beacons of other sources.
        rows = rows.filter(time__range=ends)
    is_cut = False
    offset = max(offset, 0)
    end = offset + min(max(limit, 0), MAX_LIMIT)
    stored = None
    if search.strip():
        rows, is_cut = _searched(rows, search.strip(), searched, site)
    elif ends is not None:
        stored = stored_numbers(source_key, ends)
    name = chosen.value if chosen else ALL
    # A window function would sort all recipients in memory.
    numbers = count_numbers(rows) if stored is None else stored
    page = None if search.strip() else _newest(rows, chosen, offset, min(end, numbers[name]))
    if page is None:
        page = list(_grouped(rows, chosen)[offset:end])
        if stored is not None and len(page) != max(min(end, numbers[name]) - offset, 0):
            numbers = count_numbers(rows)  # rows were deleted that had been counted
    return Recipients(
        rows=tuple(_described(page)),
        total=numbers[name],
        numbers=numbers,
        offset=offset,
        search=search.strip(),
        state=chosen,
        is_cut=is_cut,
    )


def each_recipient(
    source: Model | Reference,
    state: str | None = None,
    *,
    search: str = "",
    searched: Callable[[type[Model]], bool] = lambda model: True,
    site: admin.AdminSite | None = None,
) -> Iterator[Recipient]:
    """Yield all recipients of a source object that match search and state.

    The arguments, and what is raised, are those of :func:`recipients`.
    """
    chosen = choice(state)
    rows = _entity_beacons(_source_key(source))
    if search.strip():
        rows, _is_cut = _searched(rows, search.strip(), searched, site)
    return _each(_grouped(rows, chosen).iterator(chunk_size=CHUNK))


def _each(lines: Iterator[Mapping[str, Any]]) -> Iterator[Recipient]:
    while some := list(islice(lines, CHUNK)):
        yield from _described(some)


def _source_key(source: Model | Reference) -> SourceKey:
    reference = source if isinstance(source, Reference) else Reference.to(source)
    return SourceKey(type_of(reference).pk, reference.pk)


def _entity_beacons(source_key: SourceKey) -> QuerySet[Beacon]:
    rows = source_counts.source_beacons(source_key)
    return rows.filter(HAS_ENTITY)


_ANY_HIT = Q(kind__in=[Kind.OPEN, Kind.CLICK])


def _grouped(rows: QuerySet[Beacon], chosen: Choice | None) -> QuerySet[Beacon, Any]:
    grouped = rows.values("entity_type_id", "entity_id").annotate(
        rank=Max(state_rank()),
        sent_at=Min("time", filter=Q(kind=Kind.SENT)),
        first_at=Min("time", filter=_ANY_HIT),
        last_at=Max("time", filter=_ANY_HIT),
        opens=Count("pk", filter=OPENS),
        clicks=Count("pk", filter=CLICKS),
    )
    if chosen is not None:
        grouped = grouped.filter(condition(chosen))
    # NULL is smallest on some databases and largest on others.
    return grouped.order_by(F("last_at").desc(nulls_last=True), "entity_type_id", "entity_id")


def _newest(
    rows: QuerySet[Beacon], chosen: Choice | None, offset: int, end: int
) -> list[Any] | None:
    """Return a part of all recipients by reading the newest beacons only.

    Args:
        rows: the beacons of the source.
        chosen: the state or group, or ``None`` for all.
        offset: the number of recipients to skip.
        end: ``offset`` and the number of recipients of the part.

    Returns:
        The lines; ``None`` if these are not the first few, or are not found among the newest
        opens and clicks.
    """
    if not offset < end <= MAX_NEWEST or chosen is State.NOTHING:
        return None
    for number in [end] if chosen is None else [min(end * _FOR_ONE, MAX_NEWEST), MAX_NEWEST]:
        keys = _last_seen(rows, number)
        if keys is None:
            return None
        of_these = Q(pk__in=[])
        for type_id, some in keys.items():
            of_these |= Q(entity_type=type_id, entity_id__in=some)
        page = list(_grouped(rows.filter(of_these), chosen)[offset:end])
        # There are fewer if others are in that state, or if the database ignores case.
        if len(page) == end - offset:
            return page
    return None


def _last_seen(rows: QuerySet[Beacon], number: int) -> dict[int, list[str]] | None:
    """Return the keys of the latest recipients, by content type.

    These are at least as many as asked for, or all that came; ``None`` if they are not found.
    """
    newest = rows.filter(_ANY_HIT).order_by("-time")
    for walk in sorted({number * 4, min(number * 16, MAX_WALK), MAX_WALK}):
        found = newest.values_list("entity_type_id", "entity_id", "time")[:walk]
        seen: dict[tuple[Any, Any], datetime] = {}
        for type_id, pk, time in found:
            # Recipients of the same time may be sorted before the last one.
            if len(seen) >= number and time != next(reversed(seen.values())):
                return _by_type(seen) if len(seen) <= _AT_ONCE else None
            seen.setdefault((type_id, pk), time)
        if len(found) < walk:  # these are all
            return _by_type(seen) if len(seen) <= _AT_ONCE else None
    return None


def _by_type(seen: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    keys: dict[int, list[str]] = defaultdict(list)
    for type_id, pk in seen:
        keys[type_id].append(pk)
    return keys


def _described(lines: Sequence[Mapping[str, Any]]) -> list[Recipient]:
    references = [_reference(line) for line in lines]
    found = generic_references.in_bulk(references)
    return [
        Recipient(
            entity=reference,
            label=_label(reference, found.get(reference)),
            exists=reference in found,
            state=state_of_rank(line["rank"]),
            sent_at=line["sent_at"],
            first_at=line["first_at"],
            last_at=line["last_at"],
            opens=line["opens"],
            clicks=line["clicks"],
        )
        for reference, line in zip(references, lines, strict=True)
    ]


def _reference(line: Mapping[str, Any]) -> Reference:
    content_type = ContentType.objects.get_for_id(line["entity_type_id"])
    return Reference(f"{content_type.app_label}.{content_type.model}", line["entity_id"])


def _label(reference: Reference, entity: Model | None) -> str:
    return f"{reference.label} {reference.pk}" if entity is None else str(entity)


def _searched(
    rows: QuerySet[Beacon],
    text: str,
    searched: Callable[[type[Model]], bool],
    site: admin.AdminSite | None,
) -> tuple[QuerySet[Beacon], bool]:
    """Return the beacons of entities that match a search, and whether it found too many."""
    condition = Q(pk__in=[])
    is_cut = False
    for type_id in rows.values_list("entity_type_id", flat=True).distinct():
        content_type = ContentType.objects.get_for_id(type_id)
        model = content_type.model_class()
        keys = _found(model, text, site) if model is not None and searched(model) else []
        is_cut |= len(keys) > MAX_FOUND
        condition |= Q(entity_type=type_id, entity_id__in=[str(key) for key in keys[:MAX_FOUND]])
        condition |= Q(entity_type=type_id, entity_id=text)
    return rows.filter(condition), is_cut


def _found(model: type[Model], text: str, site: admin.AdminSite | None) -> list[Any]:
    if not (names := _searchable(model, site)):
        return []
    anywhere = Q()
    for name in names:
        anywhere |= Q(**{f"{name}__icontains": text})
    rows = model._base_manager.filter(anywhere).order_by("pk")
    return list(rows.values_list("pk", flat=True)[: MAX_FOUND + 1])


def _searchable(model: type[Model], site: admin.AdminSite | None) -> list[str]:
    """Return the fields to search. A search in any text field could reveal secrets bit by bit."""
    for one in admin.sites.all_sites if site is None else [site]:
        if one.is_registered(model):
            names = [name.lstrip("^=@") for name in one._registry[model].search_fields]
            if plain := [name for name in names if _is_text(model, name)]:
                return plain
    return [field.name for field in model._meta.concrete_fields if isinstance(field, EmailField)]


def _is_text(model: type[Model], name: str) -> bool:
    try:
        return isinstance(model._meta.get_field(name), CharField)
    except FieldDoesNotExist:
        return False
