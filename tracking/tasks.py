"""Celery tasks. Celery finds them in this module by itself.

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
from tracking.verdicts import background, recent
from tracking.webhooks import delivery


@shared_task(name="tracking.clean_up", ignore_result=True)
def clean_up() -> None:
    """Compare recent clicks, and delete all expired rows."""
    recent.correct_recent()
    retention.clean_up()


@shared_task(name="tracking.partition", ignore_result=True)
def partition() -> None:
    """Add the partitions of the next months to partitioned tables."""
    partitions.add_all_future_partitions()


@shared_task(name="tracking.roll_up", ignore_result=True)
def roll_up() -> None:
    """Compare recent clicks, and count past days."""
    recent.correct_recent()
    build.roll_up()


@shared_task(name="tracking.mail_report", ignore_result=True)
def mail_report() -> None:
    """Mail the report of the last seven days to ``TRACKING_REPORT_RECIPIENTS``."""
    # The command also checks that there are recipients.
    call_command("tracking_report", "--mail", verbosity=0)


@shared_task(name="tracking.deliver_webhooks", ignore_result=True)
def deliver_webhooks() -> None:
    """Deliver webhooks that wait, for a minute at most. Run it every few seconds."""
    delivery.deliver_waiting(seconds=60)


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
        background.start_if_needed()
    except Unavailable as error:
        try:
            raise self.retry(exc=error, countdown=celery_consumer.retry_delay(attempt))
        except Reject as rejected:  # the broker is down, too, and keeps the message
            raise Reject(str(rejected), requeue=True) from error
