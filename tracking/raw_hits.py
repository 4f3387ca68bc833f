"""Hits as a request leaves them: what was sent, cut to length and not examined.

A reader waits for a request, and nobody for the writer. So a request only packs what it has seen,
and the writer makes a hit of it: it reads the referrer and the campaign, and makes the key, the
time and the object.

    >>> raw = RawHit("open", data={"campaign": "spring-sale"})
    >>> hit = raw.to_hit()
    >>> (hit.kind, hit.data, hit.id == raw.uuid)
    ('open', {'campaign': 'spring-sale'}, True)

They are written to disk as arrays, without names: fields are only ever added at the end, with a
default.
"""

import time as clock
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from tracking.db.column_values import MAX_TEXT
from tracking.enrichment.campaigns import campaign
from tracking.enrichment.referrers import Referrer
from tracking.hits import Hit, PageHit, Reference, uuid7_bytes


class RawHit(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An observed open, click, sent message or event, see :class:`tracking.hits.Hit`.

    Attributes:
        key: the 16 bytes of the key of the row this becomes.
        time: when it was observed, in POSIX seconds.
        kind, data, url, target, source, entity, visitor: as in the hit.
        referrer, ip_address, user_agent, recipient: as in the hit.
    """

    kind: str
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    url: str = ""
    target: Reference | None = None
    source: Reference | None = None
    entity: Reference | None = None
    referrer: str = ""
    ip_address: str | None = None
    user_agent: str = ""
    visitor: str | None = None
    key: bytes = msgspec.field(default_factory=uuid7_bytes)
    time: float = msgspec.field(default_factory=clock.time)
    recipient: int | None = None

    @property
    def uuid(self) -> uuid.UUID:
        """The key of the row this becomes."""
        return uuid.UUID(bytes=self.key)

    def to_hit(self) -> Hit:
        """Return the hit.

        Raises:
            OverflowError, OSError, ValueError: the bytes or the time are not from this app.
        """
        return Hit(
            kind=self.kind,
            id=self.uuid,
            time=datetime.fromtimestamp(self.time, UTC),
            target=self.target,
            source=self.source,
            entity=self.entity,
            data=self.data,
            url=self.url,
            referrer=self.referrer,
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            visitor=self.visitor,
            recipient=self.recipient,
        )


class RawPageHit(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """One page that a visitor has seen, see :class:`tracking.hits.PageHit`.

    Attributes:
        visitor, url, session_key, user, ip_address, user_agent: as in the hit.
        previous_visitor, has_cookie: as in the hit.
        referrer: the header ``Referer``, of whatever site.
        host: the host of this site, if there is a referrer to compare it with.
        query: the query of the page, if it may name a campaign.
        key: the 16 bytes of the key of the row this becomes.
        time: when the page was served, in POSIX seconds.
    """

    visitor: str
    url: str
    referrer: str = ""
    host: str = ""
    query: str = ""
    session_key: str | None = None
    user: str | None = None
    ip_address: str | None = None
    user_agent: str = ""
    key: bytes = msgspec.field(default_factory=uuid7_bytes)
    time: float = msgspec.field(default_factory=clock.time)
    previous_visitor: str | None = None
    has_cookie: bool = False

    @property
    def uuid(self) -> uuid.UUID:
        """The key of the row this becomes."""
        return uuid.UUID(bytes=self.key)

    def to_hit(self) -> PageHit:
        """Return the hit.

        Raises:
            OverflowError, OSError, ValueError: the bytes or the time are not from this app.
        """
        referrer = Referrer.of(self.referrer, self.host)
        return PageHit(
            visitor=self.visitor,
            url=self.url,
            id=self.uuid,
            time=datetime.fromtimestamp(self.time, UTC),
            referrer=referrer.url[:MAX_TEXT],
            is_internal=referrer.is_internal,
            campaign=campaign(self.query),
            session_key=self.session_key,
            user=self.user,
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            previous_visitor=self.previous_visitor,
            has_cookie=self.has_cookie,
        )


#: What a request leaves to a backend.
AnyRawHit = RawHit | RawPageHit
