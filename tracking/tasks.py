"""Celery tasks. Celery finds them by itself, in this module of an installed app.

They need Celery: ``pip install django-beacons[celery]``.
"""

from typing import Any

from celery import shared_task
from celery.exceptions import Reject

from tracking import batches, retention
from tracking.delivery import Unavailable


@shared_task(name="tracking.clean_up", ignore_result=True)
def clean_up() -> None:
    """Delete all rows that are too old."""
    retention.clean_up()


@shared_task(
    name="tracking.record",
    bind=True,
    ignore_result=True,
    acks_late=True,
    reject_on_worker_lost=True,
    max_retries=None,  # batches.record gives up by itself, without losing anything
)
def record(self: Any, message: str) -> None:
    """Write a batch of hits, which ``CeleryBackend`` has packed."""
    attempt = self.request.retries
    try:
        batches.record(message, attempt)
    except Unavailable as error:
        try:
            raise self.retry(exc=error, countdown=batches.pause(attempt))
        except Reject as rejected:  # the broker is away, too, and keeps the message
            raise Reject(str(rejected), requeue=True) from error
