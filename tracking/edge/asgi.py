"""Answering pixels and links in an event loop.

It is not held up: what may wait for a database goes into a thread, and for a backend that
takes a hit at once, nothing does.
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
from tracking.callbacks import tracker
from tracking.edge.early_responses import Site, log_failure
from tracking.responses import METHODS, Answer
from tracking.waiting import IN_LOOP

Scope = MutableMapping[str, Any]


class Answering:
    """Knows the answers to the requests of one site."""

    def __init__(self) -> None:
        self._site = Site()

    async def answer(self, scope: Scope) -> Answer | None:
        """Return the answer, or ``None`` where it is Django's to give."""
        path = scope["path"].removeprefix(get_script_prefix(scope))
        token = self._site.token_in(path)
        if token is None or scope["method"] not in METHODS:
            return None
        answer = None
        set_script_prefix(get_script_prefix(scope) or "/")  # for the URLs of targets
        try:
            async with ThreadSensitiveContext() as context:
                try:
                    async with self._signals(scope) if tracker.has_callbacks else _NOTHING:
                        request = ASGIRequest(scope, BytesIO())
                        answer = await self._site.respond(request, token, IN_LOOP)
                finally:
                    await _leave(context)
        except Exception as error:  # noqa: BLE001 - Django comes to the same, and says so
            log_failure(path, answer, error)
        return answer

    @asynccontextmanager
    async def _signals(self, scope: Scope) -> AsyncIterator[None]:
        """Tell who listens for callbacks what Django tells them for its views."""
        await request_started.asend(sender=type(self), scope=scope)
        try:
            yield
        finally:
            await request_finished.asend(sender=type(self))


_NOTHING = nullcontext()


async def _leave(context: ThreadSensitiveContext) -> None:
    """Leave nothing open in the thread that a request had to itself, if it needed one."""
    if compat.has_thread(context):
        await sync_to_async(connections.close_all)()
