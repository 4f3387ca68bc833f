"""Message brokers; each test has keys or a queue of its own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.support.services import missing

#: A numbered database, which is unlikely to have other keys.
REDIS = os.environ.get("TRACKING_TEST_REDIS", "redis://127.0.0.1:6379/9")
RABBITMQ = os.environ.get("TRACKING_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


class Broker(NamedTuple):
    """A broker of Celery.

    Attributes:
        url: the broker.
        queue: the queue of one test.
        options: the ``broker_transport_options``.
    """

    url: str
    queue: str
    options: dict


@contextmanager
def redis() -> Iterator[Broker]:
    """Redis, which redelivers messages of killed workers after seconds, not after an hour."""
    client = pytest.importorskip("redis")
    name = f"tracking-test-{uuid.uuid4().hex}"
    options = {
        "global_keyprefix": f"{name}:",
        "visibility_timeout": 3,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    }
    with client.Redis.from_url(REDIS, socket_connect_timeout=2) as connection:
        try:
            connection.ping()
        except client.ConnectionError:
            missing("Redis")
        yield Broker(REDIS, name, options)
        for key in connection.scan_iter(f"{name}:*"):
            connection.delete(key)


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    """RabbitMQ."""
    kombu = pytest.importorskip("kombu")
    name = f"tracking-test-{uuid.uuid4().hex}"
    with kombu.Connection(RABBITMQ, connect_timeout=2) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:
            missing("RabbitMQ")
    yield Broker(RABBITMQ, name, {})
    with kombu.Connection(RABBITMQ) as connection, connection.channel() as channel:
        channel.queue_delete(name)
        channel.exchange_delete(name)


BROKERS = {"redis": redis, "rabbitmq": rabbitmq}
