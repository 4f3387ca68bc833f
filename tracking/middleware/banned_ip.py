"""Refuse requests from banned addresses."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from tracking import bans, compat
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.identity.request_info import RequestInfo
from tracking.log_limits import get_logger
from tracking.middleware.base import BaseMiddleware

logger = get_logger(__name__)


class BannedIPMiddleware(BaseMiddleware):
    """Refuses requests from banned addresses. Put it first: it saves all other work.

    A request costs a look-up in memory, and one short query at most twice a second. It fails
    open: an error is logged, and the page is served.
    """

    async def respond(self, request: HttpRequest) -> Any:
        """Return the site's response, or the one for banned clients."""
        info = RequestInfo.of(request)
        if snapshots.is_due():
            await snapshots.refresh_for_request(self.wait)
        if _is_banned(info):
            return _banned_response()
        response = self.get_response(request)
        return await response if self.is_async else response


def _is_banned(info: RequestInfo) -> bool:
    try:
        return bans.is_in_snapshot(info.address)
    except Exception:
        logger.exception("Looking for a ban failed")
        return False


def _banned_response() -> HttpResponse:
    """Return the response to a banned client, even if its settings are wrong.

    The template is rendered without the request, so that no context processor uses the database
    or the session for a banned client.
    """
    try:
        response = HttpResponse(render_to_string(conf.ban_template), status=conf.ban_status)
    except Exception:
        logger.exception("The answer to a banned client, by %r, failed", conf.ban_template)
        text = _("This site does not accept requests from your network address.")
        response = HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # Django logs a warning for each 403: banned clients must not fill the log.
    compat.keep_out_of_log(response)
    return response
