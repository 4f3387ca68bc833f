"""Recording: a batch of hits becomes rows.

=======================  ===================================================================
:mod:`.batch`            ``write()``: a batch of any hits
:mod:`.beacons`          hits become beacons
:mod:`.beacon_rows`      the column values of beacons
:mod:`.visits`           page hits become visits and page views
:mod:`.one_page_view`    one page hit, in fewer statements
:mod:`.visit_history`    which page view belongs to which visit
:mod:`.visitors`         page hits become visitors
:mod:`.midnight`         a visitor without a cookie keeps one visit over midnight
:mod:`.deduplication`    a hit that is delivered twice becomes one row
:mod:`.written_batches`  batches that are saved, by their keys
=======================  ===================================================================
"""

from tracking.recording.batch import write, write_permitted

__all__ = ["write", "write_permitted"]
