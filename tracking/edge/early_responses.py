"""Respond to pixels and links as the site's settings want it."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, reverse, set_script_prefix
from django.utils.module_loading import import_string

from tracking import bans, record_opens_and_clicks, responses
from tracking.backends.handler import note_server
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.identity.request_info import RequestInfo
from tracking.log_limits import get_logger
from tracking.middleware import BannedIPMiddleware, VisitorTrackingMiddleware
from tracking.responses import PIXEL, PlainResponse
from tracking.sync_and_async import Waiting

logger = get_logger(__name__)

#: What follows the token in the URL of a pixel.
IMAGE = ".gif"


class Site:
    """The site behind the edge. Each of its properties is found once."""

    @cached_property
    def prefix(self) -> str | None:
        """The path under which the site includes the app's URLs; ``None`` if it does not."""
        note_server()  # the first request asks for this
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
    def checks_bans(self) -> bool:
        """Whether the site refuses banned clients, or may do so."""
        if self._has(BannedIPMiddleware):
            return True
        # A function may wrap our middleware. Then Django answers banned clients.
        return not all(isinstance(one, type) for one in self._middlewares)

    @cached_property
    def tracks_visitors(self) -> bool:
        """Whether the site tracks visitors."""
        return self._has(VisitorTrackingMiddleware)

    @cached_property
    def redirects_to_https(self) -> bool:
        """Whether the site redirects requests without encryption."""
        return bool(settings.SECURE_SSL_REDIRECT)

    @cached_property
    def has_encoder(self) -> bool:
        """Whether code of the site reads tokens."""
        return bool(conf.encoder)

    def _has(self, wanted: type) -> bool:
        return any(isinstance(one, type) and issubclass(one, wanted) for one in self._middlewares)

    @cached_property
    def _middlewares(self) -> list[Any]:
        return [import_string(path) for path in settings.MIDDLEWARE]

    def find_token(self, path: str) -> str | None:
        """Return the part of a path that is a token in the app's URLs, or ``None``.

        Args:
            path: the path of a request, without the prefix of the server.
        """
        prefix = self.prefix
        if prefix is None or not path.startswith(prefix):
            return None
        rest = path[len(prefix) :]
        # It need not be exact: what is not a token of ours goes to Django.
        return rest if rest and "/" not in rest else None

    async def respond(
        self, request: HttpRequest, token: str, wait: Waiting
    ) -> PlainResponse | None:
        """Return the response to a request for a pixel or a link.

        Args:
            request: the request.
            token: what :meth:`find_token` returned.
            wait: how to wait.

        Returns:
            The response, or ``None`` if the site may want a different one from Django.

        Raises:
            Exception: the link leads nowhere, or this site has not made the token.
        """
        info = RequestInfo.of(request)
        if self.tracks_visitors:
            info.track_visitor(request)
        if self.checks_bans:
            if snapshots.is_due():
                await snapshots.refresh_for_request(wait)
            if bans.is_in_snapshot(info.address):
                return None
        if self.redirects_to_https and not request.is_secure():
            return None
        if token.endswith(IMAGE):
            await record_opens_and_clicks.open_pixel(info, token.removesuffix(IMAGE), wait)
            return PIXEL
        return responses.redirect_to(await record_opens_and_clicks.follow_link(info, token, wait))


def log_failure(path: str, response: PlainResponse | None, error: Exception) -> None:
    """Log an error of a request.

    Args:
        path: the path of the request.
        response: the response, if there was one before the error: then the request is recorded,
            and Django must not answer it again.
        error: the error.
    """
    if response is None:
        logger.debug("%r is left to Django: %s", path, error)
    else:
        logger.error("An error occurred after the response to %r was ready", path, exc_info=error)
