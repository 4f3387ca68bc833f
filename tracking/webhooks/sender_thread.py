"""A thread of the process that delivers webhooks, beside the one that writes.

It starts when there is something to deliver. Each endpoint gets a thread of its own for its turn,
so that a slow one delays no other.
"""

import atexit
import os
import threading
from functools import partial

from django.db import close_old_connections, router

from tracking import compat
from tracking.conf import conf
from tracking.db import threads
from tracking.db.isolation import log_errors
from tracking.log_limits import get_logger
from tracking.models import WebhookMessage
from tracking.webhooks import claims, delivery, endpoints

logger = get_logger(__name__)

#: Seconds between two looks for messages, of other processes and for a further attempt.
INTERVAL = 5.0

#: Seconds that new messages wait for others, to be sent as one.
_COLLECT = 0.5

#: Endpoints that get messages at the same time.
MAX_THREADS = 8

#: Seconds that an exiting process waits for the deliveries that have begun.
_EXIT_TIMEOUT = 5.0


class Sender:
    """The thread of this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start with no thread and with free locks, at first and after a fork."""
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy: dict[int, threading.Thread] = {}

    def wake(self) -> None:
        """Look for messages soon; start the thread if necessary."""
        self._work.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            return
        with self._lock:
            if self._stopping.is_set() or (self._thread and self._thread.is_alive()):
                return
            self._thread = self._start("tracking-webhooks", self._run)

    def stop(self) -> None:
        """End the thread, and wait a while for deliveries that have begun."""
        self._stopping.set()
        self._work.set()
        for thread in filter(None, [self._thread, *self._busy.values()]):
            thread.join(_EXIT_TIMEOUT)

    def _start(self, name: str, target: "partial[None] | object") -> threading.Thread | None:
        thread = threading.Thread(target=target, name=name, daemon=True)  # type: ignore[arg-type]
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            return None
        return thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._work.wait(INTERVAL):
                    self._stopping.wait(_COLLECT)
                self._work.clear()
                if self._stopping.is_set() or not endpoints.active():
                    break
                with log_errors(logger, "Looking for webhooks to deliver"):
                    close_old_connections()
                    self._give_turns()
        finally:
            threads.close_connections()

    def _give_turns(self) -> None:
        using = router.db_for_write(WebhookMessage)
        self._busy = {key: one for key, one in self._busy.items() if one.is_alive()}
        for endpoint in claims.endpoints_with_work(using):
            if endpoint not in self._busy and len(self._busy) < MAX_THREADS:
                turn = partial(self._deliver, endpoint, using)
                if thread := self._start(f"tracking-webhook-{endpoint}", turn):
                    self._busy[endpoint] = thread

    def _deliver(self, endpoint: int, using: str) -> None:
        try:
            with log_errors(logger, "Delivering webhooks to the endpoint %s", endpoint):
                if delivery.deliver(endpoint, using).messages:
                    self._work.set()  # more may have come
        finally:
            threads.close_connections()


_sender = Sender()

atexit.register(_sender.stop)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_sender.reset)


def may_run() -> bool:
    """Return whether this process delivers by a thread."""
    return (
        conf.webhook_thread
        and not compat.is_test_environment()
        and threads.can_query(router.db_for_write(WebhookMessage))
    )


def wake() -> None:
    """Let the thread of this process deliver, if it has one."""
    if may_run():
        _sender.wake()


def wake_for_messages_left_behind() -> None:
    """Let the thread deliver what an earlier process has left, if the site has endpoints."""
    if not endpoints.is_loaded():
        endpoints.active()
    if endpoints.active_so_far():
        wake()
