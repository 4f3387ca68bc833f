"""A thread that polls, so that no request waits for the database.

The first request of a process starts it. It polls at every ``INTERVAL`` while requests come and for
:data:`LINGER` seconds after the last one, with a database connection of its own. Then it ends, and
the next request starts it again.

Requests wait for it at two times, and never after a failure: those of a process that has just
started, until the first poll has ended, and those that start it again. A database that does not
answer holds them up until :data:`START_WAIT` or :data:`RESUME_WAIT` has passed, which is one
deadline for all requests of the process.
"""

import threading
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic

from django.db import Error, connections, router

from tracking.caching.polling import BACKOFF, INTERVAL, NOW, Poller
from tracking.db.isolation import log_errors
from tracking.db.threads import close_connections
from tracking.log_limits import get_logger
from tracking.models import SharedValue

logger = get_logger(__name__)

#: Seconds that the requests of a new process wait for the first poll, from the first request on.
START_WAIT = 2.0
#: Seconds that requests wait after a time without any, from the first request on.
RESUME_WAIT = 0.04
#: Seconds that a thread waits for others to see what it has committed.
COMMIT_WAIT = 1.0
#: Seconds without a request after which the thread ends and closes its connection.
LINGER = 60.0
#: Seconds after which a poll is given up that has not ended: another thread takes over.
GIVE_UP_AFTER = 60.0
#: Threads given up that may wait for the database at once. With more, nobody takes over.
MAX_GIVEN_UP = 3
#: Seconds that an exiting process waits for the thread.
EXIT_WAIT = 0.5


class Refresher:
    """The thread of a process.

    Args:
        poller: what polls.
    """

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self.reset()

    def reset(self) -> None:
        """Start with no thread and a free lock, at first and after a fork."""
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._given_up: list[threading.Thread] = []
        #: Done when the next poll that begins has ended.
        self._next: Future[None] = Future()
        #: What requests wait for until the deadline.
        self._awaited = self._next
        self._deadline = NOW
        self._first_wait = START_WAIT
        self._wanted_at = self._began_at = NOW

    # Called by requests and by code that changes a table.

    def note_request(self) -> tuple["Future[None]", float]:
        """Let the thread poll for some time, and start it if necessary.

        Returns:
            What the request is to wait for, and for how many seconds at most. They are 0 but for
            the times that the module describes.
        """
        self._poller.note_request()
        with self._lock:
            now = self._wanted_at = monotonic()
            if not self._is_running(now):
                self._start(now)
            seconds = max(self._deadline - now, 0)
            self._poller.next_at = NOW if seconds else now + INTERVAL
            return self._awaited, seconds

    def poll_now(self) -> tuple["Future[None]", float]:
        """Let the thread poll at once, after a change.

        Returns:
            What the caller is to wait for in order to see the change, and for how many seconds at
            most.
        """
        with self._lock:
            now = self._wanted_at = monotonic()
            if not self._is_running(now):
                self._start(now)
            self._asked.set()
            may_wait = now - self._began_at < COMMIT_WAIT or self._began_at == NOW
            return self._next, COMMIT_WAIT if may_wait else 0

    def wake(self) -> None:
        """Let the thread poll at once, if there is one."""
        self._asked.set()

    def stop(self) -> None:
        """End the thread, and wait for that a little."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._asked.set()
        if thread is not None:
            thread.join(EXIT_WAIT)

    def _is_running(self, now: float) -> bool:
        thread = self._thread
        if thread is None or not thread.is_alive():
            return False
        return self._began_at == NOW or now - self._began_at < GIVE_UP_AFTER

    def _start(self, now: float) -> None:
        """Start a thread, in place of one that has ended or that waits for the database."""
        previous = self._thread
        if previous is not None and previous.is_alive():
            self._given_up = [thread for thread in self._given_up if thread.is_alive()]
            if len(self._given_up) >= MAX_GIVEN_UP:
                return
            logger.error(
                "The database has not answered for %.0f s; polling on a new connection",
                now - self._began_at,
            )
            self._given_up.append(previous)
        else:
            self._awaited, self._deadline = self._next, now + self._first_wait
            self._first_wait = RESUME_WAIT
        self._began_at = NOW
        thread = threading.Thread(target=self._run, name="tracking-refresher", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            self._deadline = NOW
            logger.warning("Bans and other cached tables are not refreshed: %s", error)
        else:
            self._thread = thread

    # Called by the thread.

    def _run(self) -> None:
        try:
            while (done := self._begin()) is not None:
                is_successful = False
                with log_errors(logger, "Polling for changes"):
                    is_successful = self._poll()
                self._end(done)
                self._asked.wait(INTERVAL if is_successful else BACKOFF)
        finally:
            close_connections()

    def _begin(self) -> "Future[None] | None":
        """Begin a poll, and return what is done after it; ``None`` if the thread is to end."""
        with self._lock:
            if self._thread is not threading.current_thread():
                return None
            if monotonic() - self._wanted_at > LINGER:
                self._thread = None
                return None
            self._asked.clear()
            self._began_at = monotonic()
            done, self._next = self._next, Future()
            return done

    def _poll(self) -> bool:
        connection = connections[router.db_for_write(SharedValue)]
        was_open = connection.connection is not None
        is_successful = self._poller.poll(is_retried=was_open)
        if not is_successful and was_open:
            # The server, or a pooler before it, may have closed the connection since.
            with suppress(Error):  # whatever closing says, Django forgets the connection
                connection.close()
            is_successful = self._poller.poll()
        if not is_successful or connection.settings_dict["OPTIONS"].get("pool"):
            connection.close()
        elif not connection.autocommit:
            connection.commit()  # or the next poll would see the same rows
        return is_successful

    def _end(self, done: "Future[None]") -> None:
        with self._lock:
            if self._thread is threading.current_thread():
                self._began_at = self._deadline = NOW
        done.set_result(None)
