"""Messages after banning, and entries in the log of the admin."""

import json

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils.translation import gettext_noop, ngettext

from tracking.admin.bans.permissions import ban_visibility
from tracking.admin.masking import display_network, may_view_full_addresses
from tracking.bans.bulk_ban import BulkBanResult
from tracking.models import BannedIP
from tracking.reports import formatting

#: The message names at most this many networks whose bans did not change.
MAX_NAMED = 20


def add_messages(request: HttpRequest, added: BulkBanResult) -> None:
    """Add a message with the number of banned networks, and one about bans that did not change.

    A network whose ban the user may not know of counts as banned, which is true.
    """
    is_visible = ban_visibility(request)
    kept = [network for network in added.unchanged if is_visible(network)]
    if kept:
        message = ngettext(
            "%(count)s network was already banned and did not change: %(networks)s",
            "%(count)s networks were already banned and did not change: %(networks)s",
            len(kept),
        )
        some = ", ".join(kept[:MAX_NAMED]) + (", …" if len(kept) > MAX_NAMED else "")
        messages.warning(
            request, message % {"count": formatting.count(len(kept)), "networks": some}
        )
    if count := sum(map(len, added)) - len(kept):
        message = ngettext("Banned %(count)s network.", "Banned %(count)s networks.", count)
        messages.success(request, message % {"count": formatting.count(count)})


def log_bans(request: HttpRequest, added: BulkBanResult) -> None:
    """Write a log entry for each banned network; meant for a few."""
    full, is_visible = may_view_full_addresses(request), ban_visibility(request)
    # A ban that the user may not know of is logged like a new one ...
    new = [*added.new, *(network for network in added.unchanged if not is_visible(network))]
    rows = BannedIP.objects.values_list("network", "pk")
    keys = dict(rows.filter(network__in=[*new, *added.updated]))
    LogEntry.objects.bulk_create(
        [
            _log_entry(
                request,
                display_network(network, full=full),
                action,
                # ... and without its primary key: a small one would show that it is old.
                keys.get(network) if is_visible(network) else None,
            )
            for action, networks in ((ADDITION, new), (CHANGE, added.updated))
            for network in networks
        ]
    )


def log_import(request: HttpRequest, added: BulkBanResult) -> None:
    """Write one log entry for an imported list."""
    is_visible = ban_visibility(request)
    hidden = [network for network in added.unchanged if not is_visible(network)]
    if count := len(added.new) + len(added.updated) + len(hidden):
        text = ngettext("%(count)s imported network", "%(count)s imported networks", count)
        _log_entry(request, text % {"count": formatting.count(count)}, ADDITION, None).save()


def _log_entry(request: HttpRequest, text: str, action: int, key: int | None) -> LogEntry:
    # Structured like Django's own entries, since free text could be mistaken for structure.
    message = {"changed": {"fields": [gettext_noop("Reason"), gettext_noop("Expires at")]}}
    return LogEntry(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(BannedIP),
        object_id=None if key is None else str(key),
        object_repr=text,
        action_flag=action,
        change_message=json.dumps([{"added": {}} if action == ADDITION else message]),
    )
