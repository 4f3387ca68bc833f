"""Answering pixels and links in threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest
from django.urls import set_script_prefix

from tracking import opens_and_clicks, responses
from tracking.callbacks import tracker
from tracking.edge.early_responses import IMAGE, Site, log_failure
from tracking.identity import request_info
from tracking.responses import METHODS, PIXEL, Answer


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
                answer = self._answer_to(WSGIRequest(environ.copy()), token)
        except Exception as error:  # noqa: BLE001 - Django comes to the same, and says so
            log_failure(environ["PATH_INFO"], answer, error)
        return answer

    def _answer_to(self, request: HttpRequest, token: str) -> Answer | None:
        if self._site.bans:
            request_info.refresh(request)
        if self._site.is_for_django(request):
            return None
        if token.endswith(IMAGE):
            opens_and_clicks.open_pixel(request, token.removesuffix(IMAGE))
            return PIXEL
        return responses.found(opens_and_clicks.follow_link(request, token))

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
