"""Clean-up for small sites, which need no cron job for it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase

from tracking import retention
from tracking.isolation import isolated

logger = logging.getLogger(__name__)


class VisitorCleanUpMiddleware:
    """Once a minute, one request of all processes takes a few old rows with it.

    All other requests cost a look at the clock. What fails is logged, and the page is
    served.
    """

    sync_capable = True
    async_capable = True

    #: Rows that are deleted at most, over all tables.
    limit = 500

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request, and clean up if it is time."""
        if self.is_async:
            return self.__acall__(request)
        response: HttpResponseBase = self.get_response(request)
        if retention.is_due():
            self.clean_up()
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI; only a clean-up that is due leaves the event loop."""
        response: HttpResponseBase = await self.get_response(request)
        if retention.is_due():
            await sync_to_async(self.clean_up, thread_sensitive=True)()
        return response

    def clean_up(self) -> None:
        """Delete some old rows, if it is the turn of this process."""
        with isolated(logger, "Clean-up"):
            if retention.claim():
                retention.delete_chunk(self.limit)
