"""Keeping out who is banned."""

import logging

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from tracking import bans, compat
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.identity.request_info import RequestInfo
from tracking.middleware.base import BaseMiddleware

logger = logging.getLogger(__name__)


class BannedIPMiddleware(BaseMiddleware):
    """Answers who is banned by itself; put it first, where it spares the site all else.

    A request costs a look at the memory, and at most twice a second one short query. What
    fails in it is logged, and the page is served: better one unwanted reader than none.
    """

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        info = RequestInfo.of(request)
        if snapshots.is_due():
            await info.refresh(self._wait)
        if _is_banned(info):
            return _banned_response()
        return await self.ask_site(request)


def _is_banned(info: RequestInfo) -> bool:
    try:
        return bans.is_banned(info.address)
    except Exception:
        logger.exception("Looking for a ban failed")
        return False


def _banned_response() -> HttpResponse:
    """Return what a banned client is answered with, whatever is wrong with its settings.

    The template is rendered without the request, so that no context processor asks the
    database or the session on behalf of who is banned.
    """
    try:
        response = HttpResponse(render_to_string(conf.ban_template), status=conf.ban_status)
    except Exception:
        logger.exception("The answer to a banned client, by %r, failed", conf.ban_template)
        text = _("This site does not accept requests from your network address.")
        response = HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # Django warns of each 403 in its log, which is not for the banned to fill.
    compat.keep_out_of_log(response)
    return response
