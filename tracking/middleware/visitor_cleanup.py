"""Delete old rows on small sites, without a cron job."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import router
from django.http import HttpRequest

from tracking import compat, retention
from tracking.db import threads
from tracking.db.isolation import log_errors_with_savepoints
from tracking.log_limits import get_logger
from tracking.middleware.base import BaseMiddleware
from tracking.models import SharedValue

logger = get_logger(__name__)


class VisitorCleanUpMiddleware(BaseMiddleware):
    """Deletes some old rows once a minute, counted over all processes, while requests come.

    A request starts a thread for it, and does not wait. Where no thread can do it, the request
    does. Other requests cost a look at the clock. Errors are logged, and the page is served.
    """

    #: Rows that are deleted at most, over all tables; more where many are waiting.
    limit = 500

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._thread: threading.Thread | None = None
        retention.reset_turn()

    async def respond(self, request: HttpRequest) -> Any:
        """Return the site's response, and have old rows deleted once a minute."""
        response = self.get_response(request)
        if self.is_async:
            response = await response
        if retention.is_turn_due():
            if compat.is_test_environment():
                await self.wait.call(self._clean_up_unseen)
            elif threads.can_query(router.db_for_write(SharedValue)):
                self._start_thread()
            else:
                await self.wait.call(self.clean_up)
        return response

    def clean_up(self) -> None:
        """Delete some old rows, if it is the turn of this process."""
        with log_errors_with_savepoints(logger, "Clean-up"):
            if retention.claim_turn():
                retention.delete_chunk(retention.grow_with_backlog(self.limit))

    def _clean_up_unseen(self) -> None:
        # A thread does not add to the queries of a page, so this does not either.
        with compat.unlogged_queries():
            self.clean_up()

    def _start_thread(self) -> None:
        """Start a thread, unless the last one is still waiting for the database."""
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._run, name="tracking-clean-up", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            logger.warning("The clean-up cannot start: %s", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        try:
            self.clean_up()
        finally:
            threads.close_connections()
