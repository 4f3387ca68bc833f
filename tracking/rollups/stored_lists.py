"""The lists of counted days, added up once and kept.

    stored = read(kinds, first, versions, using)
    stored.with_cells(kinds, cells, limit=10, offset=0)     # with the counts of other days

Each counted day has up to a thousand values of each facet. A month of them takes longer to add up
than all the rest of a report. What is kept belongs to the versions of all its days
(:class:`tracking.models.CountedDay`), and is bounded as counts with filters are.
"""

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Min, Sum
from django.utils import timezone

from tracking.conf import conf
from tracking.models import DailyCount, FilteredCount
from tracking.rollups import kept_counts
from tracking.rollups.counts import OTHER
from tracking.rollups.days import span
from tracking.rollups.largest_values import ListRow
from tracking.rollups.list_sums import Sums, add, is_on_page, lines
from tracking.rollups.table_counts import Cell, ListKind

#: Raised when lists are packed in another way.
_FORMAT = "lists 1"

#: The lines of each list that are kept in order.
HEAD = 50

#: More values are added up by the database, not in memory.
MAX_VALUES = 20_000

#: How often it is noted that lists are used.
_USE_INTERVAL = timedelta(hours=1)

_encode = msgspec.msgpack.Encoder().encode
_decode_heads = msgspec.msgpack.Decoder(dict[str, list[ListRow]]).decode
_decode_lists = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_decode_sums = msgspec.msgpack.Decoder(Sums).decode


def pack(kinds: Mapping[str, ListKind], sums: Mapping[str, Sums]) -> tuple[bytes, bytes]:
    """Return lists as bytes: the arguments of :class:`StoredLists`.

    Args:
        kinds: the lists by name.
        sums: their sums.
    """
    heads = {name: [*lines(name, kind, sums[name], HEAD, 0)] for name, kind in kinds.items()}
    # Level 1: values of one list are alike, and a report waits for it.
    packed = {name: zlib.compress(_encode(sums[name]), 1) for name in kinds}
    return _encode(heads), _encode(packed)


class StoredLists:
    """Lists of counted days.

    Args:
        heads: the first lines of each list, packed.
        packed: the sums of each list, packed.
    """

    def __init__(self, heads: bytes | memoryview, packed: bytes | memoryview) -> None:
        self._heads = _decode_heads(heads)
        self._packed = _decode_lists(packed)

    def with_cells(
        self,
        kinds: Mapping[str, ListKind],
        cells: Iterable[Cell],
        limit: int | None,
        offset: int,
    ) -> Iterator[ListRow | Cell]:
        """Yield lines of lists, with the counts of other days added, and all other counts.

        Args:
            kinds: the lists by name.
            cells: the counts of other days.
            limit: the maximum number of lines of a page, or ``None`` for all.
            offset: the number of lines before the page.
        """
        of_lists = {facet for kind in kinds.values() for facet in kind.facets}
        added: dict[str, list[Cell]] = defaultdict(list)
        for cell in cells:
            if cell.facet in of_lists:
                added[cell.facet].append(cell)
            else:
                yield cell
        is_in_head = limit is not None and offset + limit <= HEAD
        for name, kind in kinds.items():
            parts = [added[facet] for facet in kind.facets]
            if is_in_head and not any(parts):
                rows = self._heads[name]
                yield from (
                    row for row in rows if row.is_other or is_on_page(row.place, limit, offset)
                )
                continue
            sums = _decode_sums(zlib.decompress(self._packed[name]))
            for part, some in enumerate(parts):
                add(sums, part, some)
            yield from lines(name, kind, sums, limit, offset)


def read(
    kinds: Mapping[str, ListKind], first: date, versions: Mapping[date, UUID], using: str
) -> StoredLists | None:
    """Return the lists of counted days, or ``None`` if the database must add them up.

    Args:
        kinds: the lists by name.
        first: the first day of the report, by which its lists are found.
        versions: the days, and their versions. They were read before.
        using: the database alias.
    """
    if not conf.filtered_days:
        return None
    key, last, version = _key(kinds, first), max(versions), _version(versions)
    rows = FilteredCount.objects.using(using).filter(filter_key=key, day=last, version=version)
    found = rows.values_list("figures", "lists", "used_at").first()
    if found is not None:
        _note_use(key, last, found[2])
        return StoredLists(*found[:2]) if found[0] else None
    sums = _add_up(kinds, versions, using)
    figures, packed = (b"", b"") if sums is None else pack(kinds, sums)
    lists = StoredLists(figures, packed) if figures else None
    if len(figures) + len(packed) > kept_counts.MAX_BYTES:
        figures = packed = b""
    row = FilteredCount(filter_key=key, day=last, version=version, figures=figures, lists=packed)
    kept_counts.change(lambda kept: kept_counts.replace(kept, [row]))
    kept_counts.change(kept_counts.evict)
    return lists


def _key(kinds: Mapping[str, ListKind], first: date) -> str:
    text = repr((_FORMAT, first.isoformat(), sorted((name, *kind) for name, kind in kinds.items())))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _version(versions: Mapping[date, UUID]) -> UUID:
    text = repr([(day.isoformat(), versions[day].hex) for day in sorted(versions)])
    return UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest())


def _note_use(key: str, day: date, used_at: datetime) -> None:
    now = timezone.now()
    if used_at < now - _USE_INTERVAL:
        kept_counts.change(lambda kept: kept.filter(filter_key=key, day=day).update(used_at=now))


def _add_up(
    kinds: Mapping[str, ListKind], versions: Mapping[date, UUID], using: str
) -> dict[str, Sums] | None:
    place_of = {
        facet: (name, part)
        for name, kind in kinds.items()
        for part, facet in enumerate(kind.facets)
    }
    found: dict[str, Sums] = {name: {} for name in kinds}
    number = 0
    for facet, value, is_other, total, uniques in _rows(place_of, versions, using):
        number += 1
        name, part = place_of[facet]
        numbers = found[name].setdefault(OTHER if is_other else value, [0, 0, 0, 0])
        numbers[2 * part : 2 * part + 2] = int(total), int(uniques)
    return found if number <= MAX_VALUES else None


def _rows(facets: Iterable[str], versions: Mapping[date, UUID], using: str) -> Any:
    first, last = min(versions), max(versions)
    rows = DailyCount.objects.using(using).filter(
        scope="", facet__in=list(facets), day__range=(first, last)
    )
    if others := [day for day in span(first, last) if day not in versions]:
        rows = rows.exclude(day__in=others)
    # By the key: MariaDB does not group by all letters of a long value.
    sums = rows.order_by().values("key", "facet", "is_other")
    sums = sums.annotate(text=Min("value"), sum=Sum("total"), people=Sum("uniques"))
    return sums.values_list("facet", "text", "is_other", "sum", "people")[: MAX_VALUES + 1]
