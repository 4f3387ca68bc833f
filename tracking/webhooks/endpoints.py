"""The endpoints in memory: the writer asks them with each batch, and needs no query for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from tracking.caching import snapshots
from tracking.hits import Reference
from tracking.models import Source, WebhookEndpoint

SOURCE_LABEL = Source._meta.label_lower


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint asks for.

    Attributes:
        pk: its primary key.
        types: the types of events.
        sources: the sources, as its field names them; none means all.
        personal_data: whether it gets address, user agent and visitor.
    """

    pk: int
    types: frozenset[str]
    sources: frozenset[str]
    personal_data: bool

    def wants(self, name: str, source: Reference | None, slug: str | None) -> bool:
        """Return whether it asks for an event.

        Args:
            name: the type of the event.
            source: its source.
            slug: the slug of its source, if that is a ``Source``.
        """
        if name not in self.types:
            return False
        if not self.sources:
            return True
        return source is not None and not self.sources.isdisjoint(names_of(source, slug))


def names_of(source: Reference, slug: str | None) -> list[str]:
    """Return the names by which the field ``sources`` of an endpoint can list a source."""
    names = [source.label, f"{source.label}:{source.pk}"]
    return names if slug is None else [*names, slug]


def lines_of(sources: str) -> frozenset[str]:
    """Return the names in the field ``sources`` of an endpoint."""
    names = (line.strip() for line in sources.splitlines())
    return frozenset(_normal(name) for name in names if name)


def _normal(name: str) -> str:
    """Return a name with its model in lower case; a slug has no full stop."""
    label, colon, pk = name.partition(":")
    return f"{label.lower()}{colon}{pk}" if "." in label else name


def slugs_of(sources: Iterable[Reference | None], using: str) -> dict[str, str]:
    """Return the slugs of those sources that are a ``Source``, by primary key, with one query."""
    keys = {int(one.pk) for one in sources if one and one.label == SOURCE_LABEL and _is_key(one.pk)}
    if not keys:
        return {}
    rows = Source.objects.using(using).filter(pk__in=keys).values_list("pk", "slug")
    return {str(pk): slug for pk, slug in rows}


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # noqa: PLR2004 - 64 bits


def active() -> tuple[Endpoint, ...]:
    """Return the active endpoints as this process knows them, at most half a second late."""
    return _snapshot.get()


def active_so_far() -> tuple[Endpoint, ...]:
    """Return the active endpoints that this process has loaded; without any query."""
    return _snapshot.current


def is_loaded() -> bool:
    """Return whether this process has loaded the endpoints."""
    return _snapshot.is_loaded


def _load(using: str) -> tuple[Endpoint, ...]:
    rows = WebhookEndpoint.objects.using(using).active().order_by("pk")
    columns = rows.values_list("pk", "types", "sources", "personal_data")
    return tuple(
        Endpoint(pk, frozenset(map(str, types)), lines_of(sources), personal_data)
        for pk, types, sources, personal_data in columns
    )


#: Sites that never had an endpoint do not read the table.
_snapshot = snapshots.Snapshot[tuple[Endpoint, ...]](
    "webhooks", _load, (), WebhookEndpoint, loads_unchanged=False
)
