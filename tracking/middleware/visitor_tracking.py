"""Tracking visitors: every page that is served becomes a hit."""

import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from tracking import exclusions
from tracking.backends import get_backend
from tracking.conf import conf
from tracking.db.isolation import log_errors
from tracking.hits import PageHit, header
from tracking.identity import browser_consent, daily_salt, request_info, visitor_key
from tracking.identity.browser_consent import Consent
from tracking.middleware.base import BaseMiddleware

logger = logging.getLogger(__name__)

#: What caches may keep for everybody must not bring anybody's cookie.
_SHARED = re.compile(r"\b(public|s-maxage)\b", re.IGNORECASE)


class VisitorTrackingMiddleware(BaseMiddleware):
    """Looks at each response on its way out, and sends a hit for each page.

    It asks nothing of the database, loads neither session nor user, and whatever fails in
    it is logged and leaves the page as it is. (A backend that writes at once does so here.)
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        daily_salt.today()  # tells that this process will need one

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        request_info.mark(request)
        response: HttpResponseBase = self.get_response(request)
        with log_errors(logger, "Tracking of %r", request.path):
            request_info.refresh(request)
            if hit := _observe(request, response):
                with _told_once(request):
                    get_backend().send_apart(hit)
        return response

    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        request_info.mark(request)
        response: HttpResponseBase = await self.get_response(request)
        with log_errors(logger, "Tracking of %r", request.path):
            # Whatever may wait for something goes into a thread; all else is done here.
            await request_info.arefresh(request)
            observe = sync_to_async(_observe) if browser_consent.asks() else None
            hit = await observe(request, response) if observe else _observe(request, response)
            if hit:
                with _told_once(request):
                    await get_backend().asend(hit)
        return response


def _told_once(request: HttpRequest) -> AbstractContextManager[None]:
    """Let an error of the database pass without another line, if there is one of this request."""
    return suppress(Error) if request_info.is_told(request) else nullcontext()


def _observe(request: HttpRequest, response: HttpResponseBase) -> PageHit | None:
    """Return the hit for a page, or ``None`` for all that is not to be tracked."""
    if reason := exclusions.exclude_page(request, response):
        logger.debug("%r is not counted: %s", request.path, reason)
        return None
    agreed = browser_consent.of(request)
    if agreed is Consent.REFUSE:
        _take_cookie_back(request, response)
        return None
    if exclusions.is_untracked(header(request, "HTTP_USER_AGENT")):
        return None
    visitor = visitor_key.recognise(request, daily_salt.today(), agreed)
    if agreed is Consent.TRACK and visitor_key.sets_cookies() and not visitor.has_cookie:
        _give_cookie(request, response, visitor.key)
    return PageHit.from_request(request, visitor.key)


def _give_cookie(request: HttpRequest, response: HttpResponseBase, key: str) -> None:
    if _is_for_one_reader(response):
        response.set_cookie(
            conf.cookie_name,
            visitor_key.cookie_for(key),
            max_age=conf.cookie_age,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )


def _take_cookie_back(request: HttpRequest, response: HttpResponseBase) -> None:
    if conf.cookie_name in request.COOKIES and _is_for_one_reader(response):
        response.delete_cookie(conf.cookie_name, samesite="Lax")


def _is_for_one_reader(response: HttpResponseBase) -> bool:
    """Return whether a response may carry a cookie, and see to it that no other reader gets it."""
    if _SHARED.search(response.get("Cache-Control", "")):
        return False
    # Django's own cache, too, keeps pages for everybody, unless they vary.
    patch_vary_headers(response, ["Cookie"])
    return True
