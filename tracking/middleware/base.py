"""The base class of the middlewares."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tracking.waiting import IN_LOOP, IN_THREAD, run


class BaseMiddleware(ABC):
    """A middleware that runs one flow under WSGI and under ASGI (:mod:`tracking.waiting`).

    Django's own mixin would send every request of an asynchronous site through a thread.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        self._wait = IN_LOOP if self._is_async else IN_THREAD
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]:
        """Return the response; under ASGI, return a coroutine that returns it."""
        flow = self.respond(request)
        return flow if self._is_async else run(flow)

    @abstractmethod
    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response to a request.

        Args:
            request: the request; :meth:`ask_site` returns the site's response to it.
        """

    async def ask_site(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response of the view and the middlewares behind this one."""
        response = self.get_response(request)
        if self._is_async:
            response = await response
        return response  # type: ignore[no-any-return]
