"""Track visitors: every page that is served becomes a hit."""

import logging
from collections.abc import Callable
from typing import Any

from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tracking import exclusions
from tracking.backends import get_backend
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.db.isolation import log_errors
from tracking.hits import PageHit
from tracking.identity import daily_salt, visitor_cookie
from tracking.identity.browser_consent import Consent
from tracking.identity.request_info import RequestInfo
from tracking.middleware.base import BaseMiddleware

logger = logging.getLogger(__name__)


class VisitorTrackingMiddleware(BaseMiddleware):
    """Looks at each response on its way out, and sends a hit for each page.

    It makes no query and loads neither session nor user; a backend that writes at once does so
    here. Errors are logged, and leave the page as it is.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        daily_salt.today()  # this process will need one

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Return the site's response, and record a page view if it counts."""
        info = RequestInfo.of(request)
        info.tracks_visitors = True
        response = await self.ask_site(request)
        with log_errors(logger, "Tracking of %r", request.path):
            if snapshots.is_due():
                await info.refresh(self._wait)
            if hit := await self._make_hit(info, request, response):
                try:
                    await self._wait.send(get_backend(), hit)
                except Error:
                    if not info.database_failed:  # else the log has a line on it
                        raise
        return response

    async def _make_hit(
        self, info: RequestInfo, request: HttpRequest, response: HttpResponseBase
    ) -> PageHit | None:
        """Return the hit for a page, or ``None`` if it does not count; set or delete the cookie."""
        reason = exclusions.exclude_page(request, response)
        if reason is None:
            if conf.consent:
                await info.ask_consent(self._wait)
            if info.consent is Consent.REFUSE:
                visitor_cookie.take_back(request, response)
                reason = exclusions.OPT_OUT if info.opts_out else "no consent"
            elif exclusions.is_untracked(info.user_agent):
                reason = exclusions.UNTRACKED_AGENT
        key = info.visitor_key if reason is None else None
        if key is None:
            logger.debug("%r is not counted: %s", request.path, reason)
            return None
        if info.cookie_key is None and info.consent is Consent.TRACK and conf.cookies:
            visitor_cookie.set_on(request, response, key)
        return info.make_page_hit(key)
