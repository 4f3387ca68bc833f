"""The signals of this app.

Receivers run after the row is saved, and before the response is sent unless the backend saves
later. If a receiver raises, Django logs the error and its changes are rolled back::

    from tracking.signals import beacon_recorded

    @receiver(beacon_recorded)
    def notify(sender, beacon, **kwargs):
        ...
"""

from contextlib import suppress
from typing import Any

from django.db.models import Model
from django.dispatch import Signal

from tracking.db.isolation import savepoints

#: Sent once for each new beacon. A hit that is delivered twice sends it once.
#: Arguments: ``sender``, the model ``Beacon``; ``beacon``, the instance.
beacon_recorded = Signal()

#: Sent once for each batch with new beacons, after ``beacon_recorded``. A backend may collect many
#: hits in a batch.
#: Arguments: ``sender``, the model ``Beacon``; ``beacons``, a sequence of instances, each created
#: on first access, so that ``len(beacons)`` costs nothing.
beacons_recorded = Signal()

#: Sent when later hits have changed verdicts: ``beacon_recorded`` told the earlier one. Most are
#: clicks of machines that looked like those of a person at first. Each change is sent once, after
#: it is saved.
#: Arguments: ``sender``, the model ``Beacon``; ``beacons``, a list of instances with the new
#: verdicts; ``previous``, by primary key the verdict before, with ``label`` and ``reason``.
verdicts_corrected = Signal()

#: Sent once for each visitor in a batch of new page views.
#: Arguments: ``sender``, the model ``Visitor``; ``visitor``, the updated instance; ``page_views``,
#: the number of pages in the batch.
visitor_seen = Signal()

#: Sent once for each new ban, within its transaction. Imported bans send it too, rows of a fixture
#: do not.
#: Arguments: ``sender``, the model ``BannedIP``; ``ban``, the instance. After a bulk insert it has
#: a primary key only on databases that return it.
address_banned = Signal()


#: Sent when a recipient unsubscribes: by the button of the mail program (RFC 8058), or on the page
#: behind ``List-Unsubscribe``. What it means is up to the site. It may be sent several times. If a
#: receiver raises, the mail program gets status 500.
#: Arguments: ``sender``, the model ``MailConsent``; ``entity``, the row of the recipient, or
#: ``None``; ``address``, its e-mail address, or ``""``; ``source``, the row of the mailing, or
#: ``None``; ``request``.
unsubscribed = Signal()


class _RollBack(Exception):
    """A receiver failed: roll back to the savepoint."""


def announce(signal: Signal, sender: type[Model], **arguments: Any) -> None:
    """Send a signal. If a receiver fails, the changes of all receivers are rolled back.

    Args:
        signal: a signal of this module.
        sender: the model.
        arguments: the arguments of the receivers.
    """
    with suppress(_RollBack), savepoints():
        responses = signal.send_robust(sender=sender, **arguments)
        if any(isinstance(response, Exception) for _receiver, response in responses):
            raise _RollBack  # Django has logged it
