"""The app in the Django admin.

Lists stay fast at a million rows: they do not count all rows, they fetch the objects of a page
with one query per model, and the dates to choose from come from the first and the last row.
"""

from tracking.admin.bans.model_admin import BannedIPAdmin
from tracking.admin.beacons import BeaconAdmin
from tracking.admin.mail_consents import MailConsentAdmin
from tracking.admin.reports.report_links import TrackingAdminMixin
from tracking.admin.sources import SourceAdmin, TargetAdmin
from tracking.admin.untracked_agents import UntrackedUserAgentAdmin
from tracking.admin.visitors import VisitorAdmin
from tracking.admin.visits import VisitAdmin
from tracking.admin.webhooks.endpoints import WebhookEndpointAdmin
from tracking.admin.webhooks.messages import WebhookMessageAdmin

__all__ = [
    "BannedIPAdmin",
    "BeaconAdmin",
    "MailConsentAdmin",
    "SourceAdmin",
    "TargetAdmin",
    "TrackingAdminMixin",
    "UntrackedUserAgentAdmin",
    "VisitAdmin",
    "VisitorAdmin",
    "WebhookEndpointAdmin",
    "WebhookMessageAdmin",
]
