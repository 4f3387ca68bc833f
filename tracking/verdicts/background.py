"""A thread that compares recent clicks, for processes in which none writes hits.

It starts with a click and ends when no more come. Processes that write in their requests
(``ImmediateBackend``) and Celery workers use it.
"""

import threading

from django.db import router

from tracking import compat
from tracking.db import threads
from tracking.log_limits import get_logger
from tracking.models import Beacon
from tracking.recording.recent_clicks import recent_clicks
from tracking.verdicts import recent

logger = get_logger(__name__)

#: Seconds until it compares the first time: most bursts are over by then.
_DELAY = 5.0

_lock = threading.Lock()
_thread: threading.Thread | None = None


def start_if_needed() -> None:
    """Start the thread if there are clicks to compare, and it does not run.

    Not in tests of a site, where it would read beside the transaction of the test, and not where
    threads have no database: there, commands compare clicks.
    """
    if recent_clicks.since is None or (_thread is not None and _thread.is_alive()):
        return
    if compat.is_test_environment() or not threads.can_query(router.db_for_write(Beacon)):
        return
    start()


def start() -> threading.Thread | None:
    """Start the thread, unless it runs, and return it."""
    global _thread  # noqa: PLW0603 - one thread per process
    with _lock:
        if _thread is None or not _thread.is_alive():
            thread = threading.Thread(target=_run, name="tracking-verdicts", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is shutting down
                logger.warning("Recent clicks cannot be compared: %s", error)
                return None
            _thread = thread
    return _thread


def _run() -> None:
    try:
        pause = _DELAY
        while recent_clicks.since is not None:
            threading.Event().wait(pause)
            recent.correct_if_due()
            pause = recent.EVERY
    finally:
        threads.close_connections()
