"""Batches through Celery: the database is written by workers, on as many hosts as it takes."""

import importlib.util
import logging
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError

from tracking.backends.buffered import BufferedBackend
from tracking.pipeline import celery_messages, redelivery
from tracking.pipeline.redelivery import Patience
from tracking.pipeline.spool import Item, in_flight
from tracking.pipeline.write_batch import Outcome, Unavailable

if TYPE_CHECKING:
    from kombu import Connection

logger = logging.getLogger(__name__)

#: Seconds that the thread waits for a broker. No request ever does.
TIMEOUT = 5


class CeleryBackend(BufferedBackend):
    """Appends a hit to a file, as its base does; the thread sends batches to the broker.

    While the broker is away, hits wait in the file. ``counters.written`` are those that the
    broker has confirmed. A copy of what was sent stays on disk until the database says that
    it is written; what a broker or a worker has lost is sent again.

    Attributes:
        patience: how long is waited before a batch is sent again.
        most_sent: batches that may be on their way at once, over all processes of a host. Where
            no worker takes them, further hits wait in the file.
    """

    patience = Patience()
    most_sent = 10_000

    def __init__(self) -> None:
        if importlib.util.find_spec("celery") is None:
            raise ImproperlyConfigured(
                "CeleryBackend needs Celery: pip install django-beacons[celery]"
            )
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._connection: Connection | None = None  # a parent's is not ours to close
        self._follow_up_at = 0.0

    def deliver(self, items: Sequence[Item], *, suspicious: bool) -> Outcome:
        """Hand a batch to the broker. What is wrong with a hit is for the worker to find.

        Where the disk takes no copy of it, it is written here.

        Raises:
            Unavailable: the broker has not confirmed it, or there are too many on their way.
        """
        message = celery_messages.packed(items)
        if _is_eager():
            self._publish(message)
            return Outcome(written=len(items))
        try:
            on_their_way = in_flight.number(self.spool.folder)
            if on_their_way >= self.most_sent:
                self.follow_up()  # no round gets to its end now, and some may have arrived
                on_their_way = in_flight.number(self.spool.folder)
            if on_their_way >= self.most_sent:
                raise Unavailable(f"{on_their_way} batches were sent, and no worker has them yet")
            copy = in_flight.keep(self.spool.folder, celery_messages.key_of(items), message)
        except OSError as error:
            logger.warning("No copy can be kept of a batch, it is written here: %s", error)
            return super().deliver(items, suspicious=suspicious)
        try:
            self._publish(message)
        except Unavailable:
            copy.forget()  # the file still has it
            raise
        return Outcome(written=len(items))

    def follow_up(self) -> None:
        """Send again what was sent and has not arrived, by all that the database knows."""
        if monotonic() < self._follow_up_at:
            return
        self._follow_up_at = monotonic() + self.look_around
        try:
            redelivery.confirm(self.spool.folder, self._publish, self.patience, self.look_around)
        except (DatabaseError, Unavailable, OSError) as error:
            # New hits are not to wait for that.
            self._follow_up_at = monotonic() + self.longest_pause
            logger.info("What was sent cannot be followed up now: %s", error)

    def _publish(self, message: str) -> None:
        from tracking.tasks import record  # noqa: PLC0415 - Celery is needed here only

        options: dict[str, Any] = {"retry": False}
        try:
            if not _is_eager():
                if self._connection is None:
                    self._connection = _connected(record.app)
                options["connection"] = self._connection
            record.apply_async((message,), **options)
        except Exception as error:
            self.rest()
            raise Unavailable(f"the broker: {error!r}") from error

    def rest(self) -> None:
        """Hang up: an idle connection would be found closed by the broker."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except Exception:  # it is of no use any more in any case
                logger.debug("Hanging up failed", exc_info=True)

    def check(self) -> list[CheckMessage]:
        """E019, W013: the app of Celery, and what the folder of the spool has."""
        from celery import current_app  # noqa: PLC0415

        messages = super().check()
        app: Any = current_app
        if app.main == "default" and not app.configured and not app.conf.broker_url:
            messages.append(
                Error(
                    "CeleryBackend: there is no Celery app with a broker in this process.",
                    hint="Import it in the __init__.py of the project, as Celery's documents say.",
                    id="tracking.E019",
                )
            )
        elif "json" not in app.conf.accept_content:
            messages.append(
                Warning(
                    "CeleryBackend: Celery's accept_content has no 'json'.",
                    hint='Workers would refuse the batches: accept_content = ["json", ...].',
                    id="tracking.W013",
                )
            )
        return messages


def _is_eager() -> bool:
    from tracking.tasks import record  # noqa: PLC0415 - Celery is needed here only

    return bool(record.app.conf.task_always_eager)


def _connected(app: Any) -> "Connection":
    """Return a connection of our own, which is not shared with the site's tasks.

    It gives up soon, and RabbitMQ confirms on it what it has taken over: without that,
    a message on its way is lost when the connection breaks.
    """
    options = dict(app.conf.broker_transport_options or {})
    connection: Connection = app.connection_for_write(connect_timeout=TIMEOUT)
    transport = connection.transport_cls
    if transport in {"amqp", "pyamqp", "amqps"}:
        ours = {"confirm_publish": True, "read_timeout": TIMEOUT, "write_timeout": TIMEOUT}
    elif transport in {"redis", "rediss"}:
        ours = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    else:
        ours = {}
    connection.transport_options = {**options, **ours, "max_retries": 0}
    connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT)
    return connection
