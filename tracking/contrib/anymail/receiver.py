"""Receive the events of anymail's webhooks."""

from typing import Any

from tracking.backends import get_backend
from tracking.contrib.anymail.events import hit_of
from tracking.log_limits import get_logger

logger = get_logger(__name__)


def record_event(event: Any, esp_name: str, **_arguments: Any) -> None:
    """Send an event to the backend, as a hit.

    Args:
        event: an ``anymail.signals.AnymailTrackingEvent``.
        esp_name: anymail's name of the mail provider.

    Raises:
        Exception: the backend does not accept the hit. Anymail answers the provider with an error,
            and the provider sends the event again.
    """
    try:
        hit = hit_of(event, esp_name)
    except Exception:
        # The same event would fail again: an error would make the provider repeat it for days.
        logger.exception("An event of %s cannot be understood", esp_name)
        return
    if hit is not None:
        get_backend().send_in_savepoints(hit)
