"""Answer pixels and links in threads."""

import concurrent.futures
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import set_script_prefix

from tracking.edge.early_responses import Site, log_failure
from tracking.pixel_callbacks import tracker
from tracking.responses import METHODS, PlainResponse
from tracking.sync_and_async import IN_THREAD, Backend, run

P = ParamSpec("P")
T = TypeVar("T")


class Responder:
    """Answers the requests of one site."""

    def __init__(self) -> None:
        self._site = Site()

    def respond(self, environ: dict[str, Any]) -> PlainResponse | None:
        """Return the response, or ``None`` if Django is to answer."""
        token = self._site.find_token(environ.get("PATH_INFO", ""))
        if token is None or environ["REQUEST_METHOD"] not in METHODS:
            return None
        response, wait = None, _Waiting(environ)
        try:
            if tracker.has_callbacks:
                with self._signals(environ):
                    response = self._run(environ, token, wait)
            else:
                response = self._run(environ, token, wait)
        except Exception as error:  # noqa: BLE001 - Django runs into the same error, and logs it
            log_failure(environ["PATH_INFO"], response, error)
        return response

    def _run(self, environ: dict[str, Any], token: str, wait: "_Waiting") -> PlainResponse | None:
        if self._site.has_encoder:
            wait.prepare()
        request = EarlyRequest(environ)
        try:
            return run(self._site.respond(request, token, wait))
        finally:
            wait.finish()

    @contextmanager
    def _signals(self, environ: dict[str, Any]) -> Iterator[None]:
        """Send the signals around callbacks that Django's handler sends around views."""
        set_script_prefix(get_script_name(environ))
        request_started.send(sender=type(self), environ=environ)
        try:
            yield
        finally:
            request_finished.send(sender=type(self))


class EarlyRequest(WSGIRequest):
    """A request of which only the headers are read, until code asks for more."""

    # What is looked for before it is there must not make the rest of the request.
    _tracking_info = None
    _tracks_visitors = False

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ
        self.method = environ["REQUEST_METHOD"]
        if environ.get("CONTENT_TYPE"):
            self._make_rest()  # which fails if it is malformed

    def __getattr__(self, name: str) -> Any:
        if "path" in self.__dict__:
            raise AttributeError(name)
        self._make_rest()
        return getattr(self, name)

    def _make_rest(self) -> None:
        super().__init__(self.environ.copy())  # Django changes the environ that it gets


class _Waiting:
    """Waits in the thread, which is prepared for code of the site before it does so first."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._is_prepared = False

    def prepare(self) -> None:
        """Let URLs be made with the server's prefix, and replace connections that broke."""
        if not self._is_prepared:
            self._is_prepared = True
            set_script_prefix(get_script_name(self._environ))
            close_old_connections()

    def finish(self) -> None:
        """Close connections that code has used for too long."""
        if self._is_prepared:
            close_old_connections()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.prepare()
        return function(*args, **kwargs)

    async def send(self, backend: Backend, hit: Any) -> None:
        self.prepare()
        backend.send_in_savepoints(hit)

    async def until(self, future: "concurrent.futures.Future[Any]", seconds: float) -> None:
        await IN_THREAD.until(future, seconds)
