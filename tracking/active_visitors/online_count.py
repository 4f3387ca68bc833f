"""How many visitors are online, on the site and on each page.

Pages that show a number ask for it on every request. So each process remembers it, and queries
the database once in a few seconds.
"""

from typing import NamedTuple

from tracking.caching.ttl import CachedQuery
from tracking.db.column_values import storable_text
from tracking.db.isolation import savepoints
from tracking.models import Visitor
from tracking.models.visitors import url_key

#: Seconds for which a count is remembered.
MAX_AGE = 5.0

#: So many visitors are remembered by their keys. Of more, only their number is.
MAX_KEYS = 200


class _Online(NamedTuple):
    """Online visitors.

    Attributes:
        number: how many there are.
        keys: their keys, or ``None`` if they are too many.
    """

    number: int
    keys: frozenset[str] | None

    def with_reader(self, reader: str | None) -> int:
        """Return the number including the reader, who counts once."""
        if reader is None or self.keys is None:  # one of hundreds more or less does not show
            return self.number
        return len(self.keys | {reader})


def on_site(reader: str | None = None) -> int:
    """Return how many visitors are on the site, without machines.

    Args:
        reader: the key of a visitor who counts in any case. Their page may not be recorded yet.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    return _cached_count(None).with_reader(reader)


def on_page(url: str, reader: str | None = None) -> int:
    """Return how many visitors are on a page, without machines.

    Args:
        url: the path of the page. A visitor is on the page they loaded last.
        reader: the key of a visitor who counts in any case. The page recorded for them may be
            the one they came from.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    return _cached_count(url_key(storable_text(url))).with_reader(reader)


def _count(page: str | None) -> _Online:
    """Count the visitors of the site, or of one page by its key, by reading an index only."""
    online = Visitor.objects.active().humans().order_by()
    if page is not None:
        online = online.filter(url_key=page)
    with savepoints():
        keys = list(online.values_list("key", flat=True)[: MAX_KEYS + 1])
        if len(keys) <= MAX_KEYS:
            return _Online(len(keys), frozenset(keys))
        return _Online(online.count(), None)


_cached_count = CachedQuery(Visitor, _count, lambda _took: MAX_AGE)
