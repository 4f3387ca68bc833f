"""Celery tasks. Celery finds them by itself, in this module of an installed app.

They need Celery: ``pip install django-beacons[celery]``.
"""

from typing import Any

from celery import shared_task
from celery.exceptions import Reject
from django.core.management import call_command

from tracking import partitions, retention
from tracking.pipeline import celery_consumer
from tracking.pipeline.write_batch import Unavailable
from tracking.rollups import build


@shared_task(name="tracking.clean_up", ignore_result=True)
def clean_up() -> None:
    """Delete all rows that are too old."""
    retention.clean_up()


@shared_task(name="tracking.partition", ignore_result=True)
def partition() -> None:
    """Make the parts of the next months, for tables that are in parts by months."""
    partitions.add_all_future_partitions()


@shared_task(name="tracking.roll_up", ignore_result=True)
def roll_up() -> None:
    """Count the days that are over."""
    build.roll_up()


@shared_task(name="tracking.mail_report", ignore_result=True)
def mail_report() -> None:
    """Send the report about the last seven days to who wants it."""
    # By its name: reports stand a floor above what runs in the background.
    call_command("tracking_report", "--mail", verbosity=0)


@shared_task(
    name="tracking.record",
    bind=True,
    ignore_result=True,
    acks_late=True,
    reject_on_worker_lost=True,
    max_retries=None,  # celery_consumer gives up by itself, without losing a hit
)
def record(self: Any, message: str) -> None:
    """Write a batch of hits that ``CeleryBackend`` sent."""
    attempt = self.request.retries
    try:
        celery_consumer.write_or_give_up(message, attempt)
    except Unavailable as error:
        try:
            raise self.retry(exc=error, countdown=celery_consumer.retry_delay(attempt))
        except Reject as rejected:  # the broker is down, too, and keeps the message
            raise Reject(str(rejected), requeue=True) from error
