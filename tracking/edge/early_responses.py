"""What of the site's settings concerns who stands ahead of it."""

import logging
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, reverse, set_script_prefix
from django.utils.module_loading import import_string

from tracking import bans, opens_and_clicks, responses
from tracking.caching import snapshots
from tracking.identity.request_info import RequestInfo
from tracking.middleware import BannedIPMiddleware, VisitorTrackingMiddleware
from tracking.responses import PIXEL, Answer
from tracking.waiting import Waiting

logger = logging.getLogger(__name__)

#: What follows the token in the URL of a pixel.
IMAGE = ".gif"


class Site:
    """The site, as far as it is asked at all. Each answer is found out once."""

    @cached_property
    def prefix(self) -> str | None:
        """The path under which the site has the app's URLs; ``None`` for nowhere."""
        before = get_script_prefix()
        set_script_prefix("/")  # servers take it off
        try:
            return reverse("tracking:pixel", args=["x"]).removesuffix("x" + IMAGE)
        except NoReverseMatch:
            logger.warning("The site's URLs do not include tracking.urls: all goes to Django")
            return None
        finally:
            set_script_prefix(before)

    @cached_property
    def bans(self) -> bool:
        """Whether it keeps out who is banned, or may do so where that cannot be told."""
        if self._has(BannedIPMiddleware):
            return True
        # A function may have our middleware within. Django is asked about who is banned.
        return not all(isinstance(one, type) for one in self._middlewares)

    @cached_property
    def tracks_visitors(self) -> bool:
        """Whether it tracks visitors."""
        return self._has(VisitorTrackingMiddleware)

    @cached_property
    def wants_https(self) -> bool:
        """Whether it sends who comes without encryption elsewhere."""
        return bool(settings.SECURE_SSL_REDIRECT)

    def _has(self, wanted: type) -> bool:
        return any(isinstance(one, type) and issubclass(one, wanted) for one in self._middlewares)

    @cached_property
    def _middlewares(self) -> list[Any]:
        return [import_string(path) for path in settings.MIDDLEWARE]

    def token_in(self, path: str) -> str | None:
        """Return what stands where the URLs of the app have a token, or ``None``.

        Args:
            path: the path of a request, without the prefix of the server.
        """
        prefix = self.prefix
        if prefix is None or not path.startswith(prefix):
            return None
        rest = path[len(prefix) :]
        # All that is no token of ours goes to Django, so that this needs not be exact.
        return rest if rest and "/" not in rest else None

    async def respond(self, request: HttpRequest, token: str, wait: Waiting) -> Answer | None:
        """Return the response to a request for a pixel or a link.

        Args:
            request: the request.
            token: as :meth:`token_in` returns it.
            wait: how to wait.

        Returns:
            The response, or ``None`` where the site may want another one from Django.

        Raises:
            Exception: the link leads nowhere, or this site has not made the token.
        """
        info = RequestInfo.of(request)
        info.tracks_visitors = self.tracks_visitors
        if self.bans:
            if snapshots.is_due():
                await info.refresh(wait)
            if bans.is_banned(info.address):
                return None
        if self.wants_https and not request.is_secure():
            return None
        if token.endswith(IMAGE):
            await opens_and_clicks.open_pixel(info, token.removesuffix(IMAGE), wait)
            return PIXEL
        return responses.found(await opens_and_clicks.follow_link(info, token, wait))


def log_failure(path: str, answer: Answer | None, error: Exception) -> None:
    """Say what went wrong with a request, before or after there was an answer to it.

    With an answer it is recorded, and Django must not be asked any more.
    """
    if answer is None:
        logger.debug("%r is left to Django: %s", path, error)
    else:
        logger.error("What comes after the answer to %r failed", path, exc_info=error)
