"""Answering pixels and links in threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import set_script_prefix

from tracking.callbacks import tracker
from tracking.edge.early_responses import Site, log_failure
from tracking.responses import METHODS, Answer
from tracking.waiting import IN_THREAD, run


class Answering:
    """Knows the answers to the requests of one site."""

    def __init__(self) -> None:
        self._site = Site()

    def answer(self, environ: dict[str, Any]) -> Answer | None:
        """Return the answer, or ``None`` where it is Django's to give."""
        token = self._site.token_in(environ.get("PATH_INFO", ""))
        if token is None or environ["REQUEST_METHOD"] not in METHODS:
            return None
        answer = None
        try:
            with self._as_in_django(environ):
                # Django changes what it is given.
                request = WSGIRequest(environ.copy())
                answer = run(self._site.respond(request, token, IN_THREAD))
        except Exception as error:  # noqa: BLE001 - Django comes to the same, and says so
            log_failure(environ["PATH_INFO"], answer, error)
        return answer

    @contextmanager
    def _as_in_django(self, environ: dict[str, Any]) -> Iterator[None]:
        """Do for the site's callbacks what Django does for its views, and else the least."""
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
