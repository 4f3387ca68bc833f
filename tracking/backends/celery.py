"""Send batches to Celery workers, on any number of hosts, which write them to the database."""

import importlib.util
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError

from tracking.backends.buffered import BufferedBackend
from tracking.log_limits import get_logger
from tracking.pipeline import celery_messages, celery_redelivery
from tracking.pipeline.celery_redelivery import RedeliveryDelays
from tracking.pipeline.spool import Item, in_flight, this_site
from tracking.pipeline.write_batch import BatchResult, Unavailable

if TYPE_CHECKING:
    from kombu import Connection

logger = get_logger(__name__)

#: Seconds that the writer thread waits for the broker. Requests never wait for it.
BROKER_TIMEOUT = 5


class CeleryBackend(BufferedBackend):
    """Appends each hit to a file, as its base does; the thread sends batches to the broker.

    While the broker is down, hits wait in the file. ``counters.written`` counts hits that the
    broker has confirmed. A copy of each sent batch stays on disk until its rows are in the
    database; a batch that the broker or a worker loses is sent again.

    Attributes:
        redelivery_delays: how long to wait before a batch is sent again.
        max_in_flight: most batches sent and not yet written, of all processes of a host. If no
            worker takes them, further hits wait in the file.
    """

    redelivery_delays = RedeliveryDelays()
    max_in_flight = 10_000

    def __init__(self) -> None:
        if importlib.util.find_spec("celery") is None:
            raise ImproperlyConfigured(
                "CeleryBackend needs Celery: pip install django-beacons[celery]"
            )
        super().__init__()

    def _reset_thread_state(self) -> None:
        super()._reset_thread_state()
        self._connection: Connection | None = (
            None  # after a fork, an open one belongs to the parent
        )
        self._resend_at = 0.0

    def deliver_batch(self, items: Sequence[Item], *, suspect_hits: bool) -> BatchResult:
        """Send a batch to the broker; the worker finds hits that the database refuses.

        If no copy can be saved on disk, this process writes the batch itself.

        Args:
            items: records from the spool.
            suspect_hits: used if this process writes the batch itself.

        Raises:
            Unavailable: the broker has not confirmed it, or too many batches are in flight.
        """
        message = celery_messages.encode_message(items)
        if _is_eager():
            self._publish(message)
            return BatchResult(written=len(items))
        try:
            in_flight_now = self._count_in_flight()
            if in_flight_now >= self.max_in_flight:
                self.resend_unacknowledged()  # some may have been written by now
                in_flight_now = self._count_in_flight()
            if in_flight_now >= self.max_in_flight:
                raise Unavailable(f"no worker has written the {in_flight_now} batches sent so far")
            copy = in_flight.save_copy(self.spool.folder, celery_messages.batch_key(items), message)
        except OSError as error:
            logger.warning(
                "Cannot save a copy of a batch, so this process writes the batch: %s", error
            )
            return super().deliver_batch(items, suspect_hits=suspect_hits)
        try:
            self._publish(message)
        except Unavailable:
            copy.delete()  # the hits are still in the spool
            raise
        return BatchResult(written=len(items))

    def _count_in_flight(self) -> int:
        return in_flight.count_sent(self.spool.folder, this_site()).number

    def resend_unacknowledged(self) -> None:
        """Send overdue batches again, and delete the copies of written ones."""
        if monotonic() < self._resend_at:
            return
        self._resend_at = monotonic() + self.folder_check_interval
        try:
            celery_redelivery.redeliver(
                self.spool.folder, self._publish, self.redelivery_delays, self.folder_check_interval
            )
        except (DatabaseError, Unavailable, OSError) as error:
            # New hits need not wait for this.
            self._resend_at = monotonic() + self.max_retry_delay
            logger.info(
                "Sent batches cannot be checked now, next attempt in %s s: %s",
                self.max_retry_delay,
                error,
            )

    def _publish(self, message: str) -> None:
        from tracking.tasks import record  # noqa: PLC0415 - needs Celery

        options: dict[str, Any] = {"retry": False}
        try:
            if not _is_eager():
                if self._connection is None:
                    self._connection = _connect(record.app)
                options["connection"] = self._connection
            record.apply_async((message,), **options)
        except Exception as error:
            self.release_resources()
            raise Unavailable(f"the broker: {error!r}") from error

    def release_resources(self) -> None:
        """Close the connection: the broker closes idle ones anyway."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except Exception:  # the connection is dropped anyway
                logger.debug("Closing the connection to the broker failed", exc_info=True)

    def check(self) -> list[CheckMessage]:
        """Check the Celery app and the folder of the spool (E019, W019, W013, E017, W016)."""
        from celery import current_app  # noqa: PLC0415

        messages = super().check()
        app: Any = current_app
        if app.main == "default" and not app.configured and not app.conf.broker_url:
            messages.append(
                Error(
                    "CeleryBackend: this process has no Celery app with a broker.",
                    hint="Import it in the project's __init__.py, as Celery's documentation shows.",
                    id="tracking.E019",
                )
            )
        elif not app.conf.broker_write_url and not _is_eager():
            messages.append(
                Warning(
                    "CeleryBackend: Celery has no broker_url, and tries RabbitMQ on this host.",
                    hint="Set CELERY_BROKER_URL (or broker_url of the Celery app).",
                    id="tracking.W019",
                )
            )
        if "json" not in app.conf.accept_content:
            messages.append(
                Warning(
                    "CeleryBackend: Celery's accept_content lacks 'json'.",
                    hint='Workers would refuse the batches. Set accept_content = ["json", ...].',
                    id="tracking.W013",
                )
            )
        return messages


def _is_eager() -> bool:
    from tracking.tasks import record  # noqa: PLC0415 - needs Celery

    return bool(record.app.conf.task_always_eager)


def _connect(app: Any) -> "Connection":
    """Return a new connection to the broker, not shared with the site's tasks.

    It has short timeouts, and RabbitMQ confirms each message on it: without that, a message
    is lost when the connection breaks.
    """
    options = dict(app.conf.broker_transport_options or {})
    connection: Connection = app.connection_for_write(connect_timeout=BROKER_TIMEOUT)
    transport = connection.transport_cls
    if transport in {"amqp", "pyamqp", "amqps"}:
        ours = {
            "confirm_publish": True,
            "read_timeout": BROKER_TIMEOUT,
            "write_timeout": BROKER_TIMEOUT,
        }
    elif transport in {"redis", "rediss"}:
        ours = {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT}
    else:
        ours = {}
    connection.transport_options = {**options, **ours, "max_retries": 0}
    connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT)
    return connection
