"""Celery tasks. Celery finds them by itself, in this module of an installed app.

They need Celery: ``pip install django-beacons[celery]``.
"""

from celery import shared_task

from tracking import retention


@shared_task(name="tracking.clean_up", ignore_result=True)
def clean_up() -> None:
    """Delete all rows that are too old."""
    retention.clean_up()
