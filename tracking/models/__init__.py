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

from tracking.models.bans import BannedIP, BannedIPQuerySet, UntrackedUserAgent
from tracking.models.beacons import Beacon, BeaconQuerySet, Source, Target, TargetQuerySet
from tracking.models.daily_counts import CountedDay, DailyCount, LateDay
from tracking.models.shared_state import Agreed
from tracking.models.visitors import PageView, Visit, Visitor, VisitorQuerySet
from tracking.models.written_batches import Receipt

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
