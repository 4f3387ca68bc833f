"""A page that is a goal becomes an event, as if the site had recorded one.

So it is credited like any other, and counted when page views are switched off or deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from uuid import UUID

from tracking.enrichment.verdict_rules import Label, classify
from tracking.hits import Hit, Kind, PageHit
from tracking.journey.goals import goal_paths, is_path

#: The last bits of a UUID, which are random, but for the two before them (RFC 9562).
_RANDOM = 1 << 62


def events_of_pages(hits: Sequence[PageHit]) -> list[Hit]:
    """Return an event for each goal that a page of a person reaches.

    It has the same key, however often the page is delivered.

    Args:
        hits: the page hits.
    """
    paths = goal_paths()
    return list(_events(hits, paths)) if paths and hits else []


def is_of_page(hit: Hit) -> bool:
    """Return whether an event comes from a page."""
    return hit.kind == Kind.EVENT and is_path(hit.event_name)


def _events(hits: Iterable[PageHit], paths: tuple[str, ...]) -> Iterator[Hit]:
    for hit in hits:
        if not hit.url.startswith(paths):
            continue
        if classify(hit.user_agent, is_page=True).label != Label.HUMAN:
            continue
        for path in paths:
            if hit.url.startswith(path):
                yield Hit(
                    kind=Kind.EVENT,
                    id=_key(hit.id, path),
                    time=hit.time,
                    event_name=path,
                    url=hit.url,
                    ip_address=hit.ip_address,
                    user_agent=hit.user_agent,
                    visitor=hit.visitor,
                )


def _key(page: UUID, path: str) -> UUID:
    """Return the key of the event: of the same time as the page, and another one by path."""
    digest = blake2b(path.encode(errors="replace"), key=page.bytes, digest_size=8).digest()
    return UUID(int=page.int - page.int % _RANDOM + int.from_bytes(digest) % _RANDOM)
