"""Answer pixels and links in an event loop.

What may wait for a database goes into a thread. With a backend that takes hits without waiting,
no request leaves the loop.
"""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, nullcontext
from io import BytesIO
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.signals import request_finished, request_started
from django.db import connections
from django.urls import set_script_prefix

from tracking import compat
from tracking.edge.early_responses import Site, log_failure
from tracking.pixel_callbacks import tracker
from tracking.responses import METHODS, PlainResponse
from tracking.sync_and_async import IN_LOOP

Scope = MutableMapping[str, Any]


class Responder:
    """Answers the requests of one site."""

    def __init__(self) -> None:
        self._site = Site()

    async def respond(self, scope: Scope) -> PlainResponse | None:
        """Return the response, or ``None`` if Django is to answer."""
        path = scope["path"].removeprefix(get_script_prefix(scope))
        token = self._site.find_token(path)
        if token is None or scope["method"] not in METHODS:
            return None
        response = None
        set_script_prefix(get_script_prefix(scope) or "/")  # for the URLs of targets
        try:
            async with ThreadSensitiveContext() as context:
                try:
                    async with self._signals(scope) if tracker.has_callbacks else _NO_SIGNALS:
                        request = ASGIRequest(scope, BytesIO())
                        response = await self._site.respond(request, token, IN_LOOP)
                finally:
                    await _close_connections(context)
        except Exception as error:  # noqa: BLE001 - Django runs into the same error, and logs it
            log_failure(path, response, error)
        return response

    @asynccontextmanager
    async def _signals(self, scope: Scope) -> AsyncIterator[None]:
        """Send the signals around callbacks that Django's handler sends around views."""
        await request_started.asend(sender=type(self), scope=scope)
        try:
            yield
        finally:
            await request_finished.asend(sender=type(self))


_NO_SIGNALS = nullcontext()


async def _close_connections(context: ThreadSensitiveContext) -> None:
    """Close the database connections in the thread of a request, if it has used one."""
    if compat.has_thread(context):
        await sync_to_async(connections.close_all)()
