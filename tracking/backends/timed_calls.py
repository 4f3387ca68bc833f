"""Calls that a request waits for, though not for long.

    calls = TimedCalls()
    has_ended = calls.run(lambda: recording.write(hits), 0.25, instead=lambda: keep(hits))

A thread cannot stop waiting for a database that does not answer. So the calls run in threads of
their own, each with database connections of its own, which stay open for the next call.
"""

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from django.db import Error, connections

from tracking.db.threads import close_connections

#: Threads of a process. Further calls wait until one is free.
MAX_THREADS = 4
#: Seconds without a call after which a thread ends and closes its connections.
LINGER = 60.0
#: Seconds that an exiting process waits for each thread.
EXIT_WAIT = 0.5


class _Task:
    """A call, and what becomes of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.future: Future[None] = Future()
        self._context = contextvars.copy_context()
        self._call = call

    def make(self) -> BaseException | None:
        """Make the call, and return what it raises."""
        try:
            self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            return error
        return None


class TimedCalls:
    """The threads of a process, which start when they are needed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tasks: deque[_Task] = deque()
        self._threads: set[threading.Thread] = set()
        #: How many of them are free, or will be without waiting for anything.
        self._free = 0
        self._is_closing = False

    def run(self, call: Callable[[], object], seconds: float, instead: Callable[[], bool]) -> bool:
        """Make a call in a thread, with the context variables of the caller.

        Args:
            call: what to call.
            seconds: how long to wait for it.
            instead: called if it has not ended by then; returns whether it has done the work, and
                the call need not be waited for. A call that has begun goes on.

        Returns:
            Whether the call has ended.

        Raises:
            Exception: what the call has raised.
        """
        task = _Task(call)
        if not self._submit(task):
            call()
            return True
        try:
            task.future.result(seconds)
        except TimeoutError:  # or the call has raised it
            if not task.future.done() and instead():
                task.future.cancel()
                return False
            task.future.result()
        return True

    def close(self) -> None:
        """End the threads that are free, and wait for that a little."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            threads = list(self._threads) if self._free else []
        for thread in threads:
            thread.join(EXIT_WAIT)

    def _submit(self, task: _Task) -> bool:
        """Give a task to a thread, and return whether there is one."""
        with self._changed:
            self._is_closing = False
            if len(self._tasks) >= self._free and len(self._threads) < MAX_THREADS:
                thread = threading.Thread(target=self._work, name="tracking-hits", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the interpreter is shutting down
                    return False
                self._threads.add(thread)
                self._free += 1
            self._tasks.append(task)
            self._changed.notify()
            return True

    # Called by the threads.

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                if not task.future.set_running_or_notify_cancel():
                    self._note_free()
                    continue
                error = task.make()
                _tidy_connections(error)
                self._note_free()  # before the caller goes on: it may have another call at once
                if error is None:
                    task.future.set_result(None)
                else:
                    task.future.set_exception(error)
        finally:
            close_connections()

    def _note_free(self) -> None:
        with self._changed:
            self._free += 1

    def _next(self) -> _Task | None:
        """Return the next task, or ``None`` if the thread is to end."""
        with self._changed:
            while not self._tasks:
                if self._is_closing or not (self._changed.wait(LINGER) or self._tasks):
                    self._free -= 1
                    self._threads.discard(threading.current_thread())
                    return None
            self._free -= 1
            return self._tasks.popleft()


def _tidy_connections(error: BaseException | None) -> None:
    """Give connections back to their pool, and close those that may have died."""
    for connection in connections.all(initialized_only=True):
        if isinstance(error, Error) or connection.settings_dict["OPTIONS"].get("pool"):
            connection.close()
