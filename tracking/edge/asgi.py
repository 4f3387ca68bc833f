"""Answer pixels and links in an event loop.

What may wait for a database goes into a thread. With a backend that takes hits without waiting,
no request leaves the loop.
"""

import concurrent.futures
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.signals import request_finished, request_started
from django.db import connections
from django.urls import set_script_prefix

from tracking import compat
from tracking.edge.early_responses import Site, log_failure
from tracking.pixel_callbacks import tracker
from tracking.responses import METHODS, PlainResponse
from tracking.sync_and_async import IN_LOOP, Backend

Scope = MutableMapping[str, Any]

P = ParamSpec("P")
T = TypeVar("T")


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
        response, wait = None, _Waiting(scope)
        try:
            try:
                if tracker.has_callbacks:
                    await wait.prepare()
                    async with self._signals(scope):
                        response = await self._site.respond(EarlyRequest(scope), token, wait)
                else:
                    if self._site.has_encoder:
                        await wait.prepare()
                    response = await self._site.respond(EarlyRequest(scope), token, wait)
            finally:
                await wait.finish()
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


class EarlyRequest(ASGIRequest):
    """A request of which only the headers are read, until code asks for more."""

    # What is looked for before it is there must not make the rest of the request.
    _tracking_info = None
    _tracks_visitors = False

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method = scope["method"]
        meta: dict[str, Any] = {}
        self.META = meta
        for name, value in scope["headers"]:
            key = (_meta_key if len(name) <= _USUAL_NAME else _meta_key.__wrapped__)(name)
            if key in meta or key == "CONTENT_TYPE":
                self._make_rest()  # which joins the values, or fails if the type is malformed
                return
            if key is not None:
                meta[key] = value.decode("latin-1")
        if scope.get("client"):
            meta["REMOTE_ADDR"] = scope["client"][0]

    def __getattr__(self, name: str) -> Any:
        if "path" in self.__dict__:
            raise AttributeError(name)
        self._make_rest()
        return getattr(self, name)

    def _make_rest(self) -> None:
        super().__init__(self.scope, BytesIO())


#: Bytes of the longest name of a header that is remembered: clients send what they like.
_USUAL_NAME = 60


@lru_cache(maxsize=1_000)
def _meta_key(name: bytes) -> str | None:
    """Return the key of a header in ``META``, or ``None`` if this version of Django ignores it."""
    without, with_it = (
        ASGIRequest({"method": "GET", "path": "/", "headers": headers}, BytesIO()).META
        for headers in ([], [(name, b"")])
    )
    return next((key for key in with_it if key not in without), None)


class _Waiting:
    """Lets the loop go on while code of the site runs in the thread of this request."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._context: ThreadSensitiveContext | None = None

    async def prepare(self) -> None:
        """Give the request a thread, and let URLs be made with the server's prefix."""
        if self._context is None:
            set_script_prefix(get_script_prefix(self._scope) or "/")
            self._context = ThreadSensitiveContext()
            await self._context.__aenter__()  # type: ignore[no-untyped-call]

    async def finish(self) -> None:
        """Close the database connections in that thread, if it was used, and end it."""
        if self._context is not None:
            try:
                if compat.has_thread(self._context):
                    await sync_to_async(connections.close_all)()
            finally:
                await self._context.__aexit__(None, None, None)  # type: ignore[no-untyped-call]

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self.prepare()
        return await IN_LOOP.call(function, *args, **kwargs)

    async def send(self, backend: Backend, hit: Any) -> None:
        await self.prepare()
        await IN_LOOP.send(backend, hit)

    async def until(self, future: "concurrent.futures.Future[Any]", seconds: float) -> None:
        await IN_LOOP.until(future, seconds)
