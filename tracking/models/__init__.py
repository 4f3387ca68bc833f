"""The tables.

=======================  ===================================================================
:mod:`.beacons`          recorded opens, clicks, sent messages and events: ``Beacon``
:mod:`.targets`          destinations with short links: ``Target``
:mod:`.sources`          campaigns, newsletters, ads: ``Source``
:mod:`.visitors`         visitors, their visits and page views: ``Visitor``, ``Visit``, ``PageView``
:mod:`.bans`             banned networks and untracked agents: ``BannedIP``, ``UntrackedUserAgent``
:mod:`.daily_counts`     counted days: ``DailyCount``, ``CountedDay``, ``LateDay``
:mod:`.filtered_counts`  counts of days with filters: ``FilteredCount``
:mod:`.mail_messages`    sent messages by their ids: ``SentMessage``, ``UnmatchedEvent``
:mod:`.mail_consents`    consent of recipients of mail: ``MailConsent``, ``MailConsentChange``
:mod:`.shared_state`     small values that all processes share: ``SharedValue``
:mod:`.written_batches`  batches of hits that are saved: ``WrittenBatch``
:mod:`.webhooks`         endpoints, and what waits for them: ``WebhookEndpoint``, ``WebhookMessage``
:mod:`.base`             the columns that several tables share
:mod:`.change_signals`   models that signal every change, bulk changes too
:mod:`.fields`           model fields
:mod:`.indexes`          indexes
=======================  ===================================================================
"""

from tracking.models.bans import BannedIP, BannedIPQuerySet, UntrackedUserAgent
from tracking.models.beacons import Beacon, BeaconQuerySet
from tracking.models.daily_counts import CountedDay, DailyCount, LateDay
from tracking.models.filtered_counts import FilteredCount
from tracking.models.mail_consents import ConsentState, MailConsent, MailConsentChange
from tracking.models.mail_messages import SentMessage, UnmatchedEvent
from tracking.models.shared_state import SharedValue
from tracking.models.sources import Source
from tracking.models.targets import Target, TargetQuerySet
from tracking.models.visitors import PageView, Visit, Visitor, VisitorQuerySet
from tracking.models.webhooks import WebhookEndpoint, WebhookMessage
from tracking.models.written_batches import WrittenBatch

__all__ = [
    "BannedIP",
    "BannedIPQuerySet",
    "Beacon",
    "BeaconQuerySet",
    "ConsentState",
    "CountedDay",
    "DailyCount",
    "FilteredCount",
    "LateDay",
    "MailConsent",
    "MailConsentChange",
    "PageView",
    "SentMessage",
    "SharedValue",
    "Source",
    "Target",
    "TargetQuerySet",
    "UnmatchedEvent",
    "UntrackedUserAgent",
    "Visit",
    "Visitor",
    "VisitorQuerySet",
    "WebhookEndpoint",
    "WebhookMessage",
    "WrittenBatch",
]
