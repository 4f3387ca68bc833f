"""The base class of the middlewares."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tracking.sync_and_async import IN_LOOP, IN_THREAD, run


class BaseMiddleware(ABC):
    """A middleware that runs one flow under WSGI and under ASGI (:mod:`tracking.sync_and_async`).

    Django's own mixin would send every request of an asynchronous site through a thread.

    Attributes:
        is_async: whether the site's response has to be awaited.
        wait: how the flow waits.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        self.wait = IN_LOOP if self.is_async else IN_THREAD
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]:
        """Return the response; under ASGI, return a coroutine that returns it."""
        flow = self.respond(request)
        return flow if self.is_async else run(flow)

    @abstractmethod
    async def respond(self, request: HttpRequest) -> Any:
        """Return the response to a request.

        ``self.get_response(request)`` returns the site's response, which a flow awaits if
        ``self.is_async``.

        Args:
            request: the request as Django hands it to a middleware.
        """
