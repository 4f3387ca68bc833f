"""Telling who listens what has become a row."""

from contextlib import suppress
from typing import Any

from django.db.models import Model
from django.dispatch import Signal

from tracking.isolation import savepoint


class _Undo(Exception):
    """A receiver has failed: go back to the savepoint."""


def announce(signal: Signal, sender: type[Model], **arguments: Any) -> None:
    """Send a signal. What a receiver breaks in the site's transaction is rolled back.

    Args:
        signal: one of :mod:`tracking.signals`.
        sender: the model it is about.
        arguments: what the receivers are told.
    """
    with suppress(_Undo), savepoint():
        responses = signal.send_robust(sender=sender, **arguments)
        if any(isinstance(response, Exception) for _receiver, response in responses):
            raise _Undo  # Django has logged it
