"""What one request tells of its sender, each part found once, when it is first needed."""

import logging
from collections.abc import Callable, Sequence
from time import time
from typing import Any, Self
from weakref import ref

from django.http import HttpRequest
from django.utils.functional import cached_property

from tracking import client_address, exclusions
from tracking.conf import conf
from tracking.db.column_values import MAX_TEXT
from tracking.enrichment.campaigns import campaign_query
from tracking.hits import Reference, uuid7_bytes
from tracking.identity import browser_consent, daily_salt, page_view, visitor_cookie, visitor_key
from tracking.identity.browser_consent import Consent
from tracking.raw_hits import RawHit, RawPageHit
from tracking.sync_and_async import Waiting

logger = logging.getLogger(__name__)


class RequestInfo:
    """What a request tells, for views, middlewares and the edge alike.

    info = RequestInfo.of(request)
    info.address             # "192.0.2.7"
    info.exclusion           # "method HEAD", or None if the request counts
    """

    _request: Callable[[], HttpRequest] = staticmethod(lambda: None)  # type: ignore[assignment]

    def __init__(self, request: HttpRequest) -> None:
        # The request holds this object. If this held the request, too, only the garbage
        # collector could free them.
        self._request = ref(request)  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        """Let a request be pickled that has this object."""
        return {}

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Return what is known of a request; it is the same object for the same request."""
        info: Self | None = getattr(request, "_tracking_info", None)
        if info is None:
            info = cls(request)
            request._tracking_info = info  # type: ignore[attr-defined]
        elif info._request() is None:  # it was pickled, or copied with its request
            info.__init__(request)  # type: ignore[misc]
        return info

    @staticmethod
    def track_visitor(request: HttpRequest) -> None:
        """Note that a request goes through ``VisitorTrackingMiddleware``."""
        # On the request: most requests that are not counted need nothing else of this class.
        request._tracks_visitors = True  # type: ignore[attr-defined]

    @property
    def tracks_visitors(self) -> bool:
        """Whether the request goes through ``VisitorTrackingMiddleware``."""
        return getattr(self._request(), "_tracks_visitors", False)

    @property
    def request(self) -> HttpRequest:
        """The request itself."""
        return self._request()

    # The client.

    @cached_property
    def address(self) -> str | None:
        """The client's address, or ``None`` if it is not known."""
        return client_address.client_address(self._request())

    @property
    def recorded_address(self) -> str | None:
        """The client's address as far as ``TRACKING_ANONYMIZE_IP`` lets it be recorded."""
        if conf.anonymize_ip is False:
            return self.address
        return client_address.anonymize(self.address)

    @cached_property
    def user_agent(self) -> str:
        """The header ``User-Agent`` as text."""
        value: str = self._request().META.get("HTTP_USER_AGENT", "")
        return value if value.isascii() else _decode(value)

    @property
    def referrer(self) -> str:
        """The header ``Referer`` as text."""
        value: str = self._request().META.get("HTTP_REFERER", "")
        return value if value.isascii() else _decode(value)

    # Whether it counts.

    @cached_property
    def opts_out(self) -> bool:
        """Whether the browser asks not to be tracked, and the site respects that."""
        return exclusions.opts_out(self._request())

    @cached_property
    def exclusion(self) -> str | None:
        """Why an open or a click by this request does not count, or ``None`` if it does."""
        if reason := exclusions.exclude_request(self._request()):
            return reason
        self.find_all()
        if self.opts_out:
            return exclusions.OPT_OUT
        # Without visitors, snapshots are not refreshed: a hit is one INSERT and nothing else.
        if self.tracks_visitors and exclusions.is_untracked(self.user_agent):
            return exclusions.UNTRACKED_AGENT
        return None

    def counts(self) -> bool:
        """Return whether an open or a click counts, and log why it does not."""
        if self.exclusion is None:
            return True
        logger.debug("%r is not counted: %s", self._request().path, self.exclusion)
        return False

    # The visitor.

    @cached_property
    def consent(self) -> Consent:
        """How far the reader agrees. The site's callable may wait; see :meth:`ask_consent`."""
        return Consent.REFUSE if self.opts_out else browser_consent.ask(self._request())

    async def ask_consent(self, wait: Waiting) -> None:
        """Find :attr:`consent` without holding up an event loop; do it if ``conf.consent``."""
        await wait.call(lambda: self.consent)

    @cached_property
    def cookie_key(self) -> str | None:
        """The visitor's key from the cookie.

        ``None`` without a cookie, and where the reader has not agreed to one.
        """
        return visitor_cookie.read(self._request()) if self.consent is Consent.TRACK else None

    @cached_property
    def visitor_key(self) -> str:
        """The visitor's key: that of the cookie, or else that of the day."""
        return self.cookie_key or visitor_key.day_key(
            self._request(), self.address, daily_salt.today()
        )

    @property
    def previous_key(self) -> str | None:
        """The visitor's key until midnight, if the visit may have begun before it.

        ``None`` for a visitor with a cookie, and when half an hour of the day is over.
        """
        key = self.visitor_key  # first, as midnight may be now
        yesterday = None if self.cookie_key else daily_salt.yesterday()
        if yesterday is None:
            return None
        previous = visitor_key.day_key(self._request(), self.address, yesterday.salt, yesterday.day)
        return None if previous == key else previous

    def visitor_so_far(self) -> str | None:
        """Return the key of the visitor while the page is being made, or ``None`` if untracked.

        The answer is not kept: the page may still change what the reader agrees to, and the salt
        of the day may be read only after it.
        """
        return next(iter(self.keys_so_far()), None)

    def keys_so_far(self) -> Sequence[str]:
        """Return :meth:`visitor_so_far` and :attr:`previous_key`, as far as there are any."""
        if not self.tracks_visitors:
            return ()
        info = type(self)(self._request())
        info.address = self.address
        if info.consent is Consent.REFUSE:
            return ()
        previous = info.previous_key
        return (info.visitor_key,) if previous is None else (info.visitor_key, previous)

    # Hits.

    def find_all(self) -> None:
        """Find at once what each hit needs: one by one, the properties take longer.

        The site's callable is not asked for its consent.
        """
        request, found = self._request(), self.__dict__
        meta = request.META
        if "address" not in found:
            found["address"] = client_address.client_address(request)
        if "user_agent" not in found:
            agent: str = meta.get("HTTP_USER_AGENT", "")
            found["user_agent"] = agent if agent.isascii() else _decode(agent)
        if "opts_out" not in found:
            has_header = "HTTP_DNT" in meta or "HTTP_SEC_GPC" in meta
            found["opts_out"] = has_header and exclusions.opts_out(request)
        if "consent" not in found and not conf.consent:
            found["consent"] = Consent.REFUSE if found["opts_out"] else Consent.TRACK

    def make_raw_hit(
        self,
        kind: str,
        data: dict[str, Any] | None = None,
        url: str = "",
        target: Reference | None = None,
        source: Reference | None = None,
        entity: Reference | None = None,
        recipient: int | None = None,
    ) -> RawHit:
        """Return the hit that this request is.

        Args:
            kind: one of :class:`tracking.hits.Kind`.
            data: as in :class:`tracking.hits.Hit`, as are all others.
            url: the destination of a click.
            target: what was shown or linked to.
            source: where the reader comes from.
            entity: the reader.
            recipient: the digest of the address that the message went to.
        """
        self.find_all()
        request = self._request()
        has_visitor = (
            getattr(request, "_tracks_visitors", False) and self.consent is not Consent.REFUSE
        )
        now = time()
        return RawHit(
            kind,
            data or {},
            url,
            target,
            source,
            entity,
            self.referrer[:MAX_TEXT] if "HTTP_REFERER" in request.META else "",
            self.address if conf.anonymize_ip is False else self.recorded_address,
            self.user_agent[:MAX_TEXT],
            self.visitor_key if has_visitor else None,
            uuid7_bytes(now),
            now,
            recipient,
        )

    def make_raw_page_hit(self) -> RawPageHit:
        """Return the page view that this request is, once the page has been made."""
        request = self._request()
        meta = request.META
        referrer, host, query = "", None, meta.get("QUERY_STRING")
        if "HTTP_REFERER" in meta:
            referrer = self.referrer
            host = page_view.site_host(request) if referrer else None
        cookie_key = self.cookie_key
        key, previous = cookie_key, None
        if key is None:
            key, previous = self.visitor_key, self.previous_key
        now = time()
        return RawPageHit(
            key,
            request.path[:MAX_TEXT],
            "" if host is None else referrer[:MAX_TEXT],
            "" if host is None else host[:MAX_TEXT],
            campaign_query(query) if query else "",
            page_view.session_key(request),
            page_view.user_pk(request),
            self.address if conf.anonymize_ip is False else self.recorded_address,
            self.user_agent[:MAX_TEXT],
            uuid7_bytes(now),
            now,
            previous,
            cookie_key is not None,
        )


def _decode(header: str) -> str:
    """Return a header as text: UTF-8 if it is valid UTF-8, else Latin-1.

    WSGI (PEP 3333) and Django's ASGI handler decode all headers as Latin-1.
    """
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:  # it is Latin-1, or code of the site has set it to text
        return header
