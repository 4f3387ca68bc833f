"""What the middlewares have in common."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class BaseMiddleware(ABC):
    """A middleware that is at home under WSGI and under ASGI.

    Django's own mixin would send every request of an asynchronous site through a thread.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.answer_async(request) if self._is_async else self.answer(request)

    @abstractmethod
    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request; ``self.get_response(request)`` is what the site answers."""

    @abstractmethod
    async def answer_async(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same; ``await self.get_response(request)`` is what the site answers."""
