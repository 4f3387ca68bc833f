"""The tables.

======================  ====================================================================
:mod:`.beacons`         what was observed: ``Beacon``, and ``Target`` and ``Source`` of our own
:mod:`.visitors`        who is and was on the site: ``Visitor``, ``Visit``, ``PageView``
:mod:`.unwanted`        who is kept out or not counted: ``BannedIP``, ``UntrackedUserAgent``
:mod:`.counts`          what was counted once: ``DailyCount``
:mod:`.agreed`          what all processes of a site agree on: ``Agreed``
:mod:`.receipts`        which batches of hits are written: ``Receipt``
:mod:`.observed`        the columns that several of them have
======================  ====================================================================
"""

from tracking.models.agreed import Agreed
from tracking.models.beacons import Beacon, BeaconQuerySet, Source, Target, TargetQuerySet
from tracking.models.counts import CountedDay, DailyCount, LateDay
from tracking.models.receipts import Receipt
from tracking.models.unwanted import BannedIP, BannedIPQuerySet, UntrackedUserAgent
from tracking.models.visitors import PageView, Visit, Visitor, VisitorQuerySet

__all__ = [
    "Agreed",
    "BannedIP",
    "BannedIPQuerySet",
    "Beacon",
    "BeaconQuerySet",
    "CountedDay",
    "DailyCount",
    "LateDay",
    "PageView",
    "Receipt",
    "Source",
    "Target",
    "TargetQuerySet",
    "UntrackedUserAgent",
    "Visit",
    "Visitor",
    "VisitorQuerySet",
]
