"""Delete old rows on small sites, without a cron job."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from tracking import retention
from tracking.db.isolation import log_errors_with_savepoints
from tracking.log_limits import get_logger
from tracking.middleware.base import BaseMiddleware

logger = get_logger(__name__)


class VisitorCleanUpMiddleware(BaseMiddleware):
    """Deletes some old rows after one request a minute, counted over all processes.

    Other requests cost a look at the clock. Errors are logged, and the page is served.
    """

    #: Rows that are deleted at most, over all tables; more where many are waiting.
    limit = 500

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        retention.reset_turn()

    async def respond(self, request: HttpRequest) -> Any:
        """Return the site's response, and delete old rows once a minute."""
        response = self.get_response(request)
        if self.is_async:
            response = await response
        if retention.is_turn_due():
            await self.wait.call(self.clean_up)
        return response

    def clean_up(self) -> None:
        """Delete some old rows, if it is the turn of this process."""
        with log_errors_with_savepoints(logger, "Clean-up"):
            if retention.claim_turn():
                retention.delete_chunk(retention.grow_with_backlog(self.limit))
