"""Answer pixels and links in threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import set_script_prefix

from tracking.edge.early_responses import Site, log_failure
from tracking.pixel_callbacks import tracker
from tracking.responses import METHODS, PlainResponse
from tracking.sync_and_async import IN_THREAD, run


class Responder:
    """Answers the requests of one site."""

    def __init__(self) -> None:
        self._site = Site()

    def respond(self, environ: dict[str, Any]) -> PlainResponse | None:
        """Return the response, or ``None`` if Django is to answer."""
        token = self._site.find_token(environ.get("PATH_INFO", ""))
        if token is None or environ["REQUEST_METHOD"] not in METHODS:
            return None
        response = None
        try:
            with self._prepare(environ):
                # Django changes the environ that it gets.
                request = WSGIRequest(environ.copy())
                response = run(self._site.respond(request, token, IN_THREAD))
        except Exception as error:  # noqa: BLE001 - Django runs into the same error, and logs it
            log_failure(environ["PATH_INFO"], response, error)
        return response

    @contextmanager
    def _prepare(self, environ: dict[str, Any]) -> Iterator[None]:
        """Do for callbacks what Django's handler does for views; without callbacks, the minimum."""
        set_script_prefix(get_script_name(environ))  # for the URLs of targets
        if not tracker.has_callbacks:
            close_old_connections()
            try:
                yield
            finally:
                close_old_connections()
            return
        request_started.send(sender=type(self), environ=environ)
        try:
            yield
        finally:
            request_finished.send(sender=type(self))
