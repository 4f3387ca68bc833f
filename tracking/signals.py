"""The signals of the app, and what they send.

Receivers run after the row is written and before the answer goes out (unless a
backend writes later). One that raises is logged by Django and changes nothing::

    from tracking.signals import beacon_recorded

    @receiver(beacon_recorded)
    def note(sender, beacon, **kwargs):
        ...
"""

from contextlib import suppress
from typing import Any

from django.db.models import Model
from django.dispatch import Signal

from tracking.db.isolation import savepoints

#: Sent once for each beacon that became a row; a hit delivered twice sends it once.
#: Arguments: ``sender``, the model ``Beacon``; ``beacon``, the instance.
beacon_recorded = Signal()

#: Sent once for each batch of which beacons became rows, after ``beacon_recorded``: for work
#: that is done for many at once. Several hits make a batch where a backend collects them.
#: Arguments: ``sender``, the model ``Beacon``; ``beacons``, the instances, a sequence that
#: makes each when it is asked for, so that ``len(beacons)`` costs nothing.
beacons_recorded = Signal()

#: Sent once for each visitor of a batch of page views that became rows.
#: Arguments: ``sender``, the model ``Visitor``; ``visitor``, the instance as it is now;
#: ``page_views``, how many pages the batch has added.
visitor_seen = Signal()

#: Sent once for each ban that is new, within its transaction: one by hand and those of an
#: import alike, but not the rows of a fixture.
#: Arguments: ``sender``, the model ``BannedIP``; ``ban``, the instance. Inserted in bulk, it
#: has a primary key only on databases that tell it.
address_banned = Signal()


class _Undo(Exception):
    """A receiver has failed: go back to the savepoint."""


def announce(signal: Signal, sender: type[Model], **arguments: Any) -> None:
    """Send a signal. What a receiver breaks in the site's transaction is rolled back.

    Args:
        signal: one of the above.
        sender: the model it is about.
        arguments: what the receivers are told.
    """
    with suppress(_Undo), savepoints():
        responses = signal.send_robust(sender=sender, **arguments)
        if any(isinstance(response, Exception) for _receiver, response in responses):
            raise _Undo  # Django has logged it
