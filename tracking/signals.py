"""The signals of the app, and what they send.

Receivers run after the row is written and before the answer goes out (unless a
backend writes later). One that raises is logged by Django and changes nothing::

    from tracking.signals import beacon_recorded

    @receiver(beacon_recorded)
    def note(sender, beacon, **kwargs):
        ...
"""

from django.dispatch import Signal

#: Sent once for each beacon that became a row; a hit delivered twice sends it once.
#: Arguments: ``sender``, the model ``Beacon``; ``beacon``, the instance.
beacon_recorded = Signal()
