"""The tables in the Django admin, made to be read at a million rows.

What costs time in proportion to the table is left out or bounded: there is no count of
all rows, the objects of a page are fetched with one query per model, and the dates to
choose from come from the first and the last row.
"""

from tracking.admin.bans.model_admin import BannedIPAdmin, UntrackedUserAgentAdmin
from tracking.admin.beacons import BeaconAdmin
from tracking.admin.reports.report_links import TrackingAdminMixin
from tracking.admin.sources import SourceAdmin, TargetAdmin
from tracking.admin.visitors import VisitAdmin, VisitorAdmin

__all__ = [
    "BannedIPAdmin",
    "BeaconAdmin",
    "SourceAdmin",
    "TargetAdmin",
    "TrackingAdminMixin",
    "UntrackedUserAgentAdmin",
    "VisitAdmin",
    "VisitorAdmin",
]
