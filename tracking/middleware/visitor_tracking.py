"""Track visitors: every page that is served becomes a hit."""

from collections.abc import Callable
from typing import Any

from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tracking import exclusions
from tracking.backends import get_backend
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.db import missing_tables
from tracking.identity import daily_salt, new_visitors, visitor_cookie
from tracking.identity.browser_consent import Consent
from tracking.identity.request_info import RequestInfo
from tracking.log_limits import get_logger
from tracking.middleware.base import BaseMiddleware

logger = get_logger(__name__)


class VisitorTrackingMiddleware(BaseMiddleware):
    """Looks at each response on its way out, and sends a hit for each page.

    It makes no query and loads neither session nor user; a backend that writes at once does so
    here. Errors are logged, and leave the page as it is.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        daily_salt.today()  # this process will need one

    async def respond(self, request: HttpRequest) -> Any:
        """Return the site's response, and record a page view if it counts."""
        RequestInfo.track_visitor(request)
        response = self.get_response(request)
        if self.is_async:
            response = await response
        try:
            reason = exclusions.exclude_page(request, response)
            if reason is None:
                info = RequestInfo.of(request)
                if snapshots.is_due():
                    await snapshots.refresh_for_request(self.wait)
                if conf.consent:
                    await info.ask_consent(self.wait)
                reason = _exclude_reader(info, request, response)
            if reason is None:
                raw, backend = info.make_raw_page_hit(), get_backend()
                if not backend.take(raw):
                    await self.wait.send(backend, raw.to_hit())
            else:
                logger.debug("%r is not counted: %s", request.path, reason)
        except Exception as error:  # noqa: BLE001 - it is logged
            _log_failure(request, error)
        return response


def _log_failure(request: HttpRequest, error: Exception) -> None:
    # If the database is down, the failed refresh has logged it.
    logged = snapshots.is_failing() and isinstance(error, Error)
    if not (logged or missing_tables.is_known(error)):
        logger.exception("Tracking of %r failed", request.path)


def _exclude_reader(
    info: RequestInfo, request: HttpRequest, response: HttpResponseBase
) -> str | None:
    """Return why a reader is not tracked, or ``None``.

    A new visitor gets the cookie, and a reader who refuses loses it.
    """
    info.find_all()
    if info.consent is Consent.REFUSE:
        visitor_cookie.take_back(request, response)
        return exclusions.OPT_OUT if info.opts_out else exclusions.NO_CONSENT
    if exclusions.is_untracked(info.user_agent):
        return exclusions.UNTRACKED_AGENT
    if info.cookie_key is None:
        if not new_visitors.fits_budget(info.visitor_key, info.address):
            return exclusions.OVER_BUDGET
        if info.consent is Consent.TRACK and conf.cookies:
            visitor_cookie.set_on(request, response, info.visitor_key)
    return None
