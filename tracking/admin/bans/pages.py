"""What the pages beside the ban list have in common."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_noop, ngettext

from tracking.admin import admin_page, formatting
from tracking.admin.masking import is_wide, may_see_whole, shown
from tracking.bans.import_export import Added, Known
from tracking.models import BannedIP

#: Lines that are shown of those that cannot be banned, and of those that are.
MAX_SHOWN = 20


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return a page of the admin about bans.

    Args:
        request: the request.
        site: the site of the admin.
        template: its name, without directory and ending.
        context: what it shows.
    """
    return admin_page.page(request, site, f"bannedip/{template}", opts=BannedIP._meta, **context)


def back_to_list(request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> HttpResponse:
    """Return a redirect to the ban list, or to the index for who may not see that."""
    name = model_admin.admin_site.name
    if model_admin.has_view_permission(request):
        return HttpResponseRedirect(reverse(f"{name}:tracking_bannedip_changelist"))
    return HttpResponseRedirect(reverse(f"{name}:index"))


# Who may do what with bans that are there already.


def may_change(request: HttpRequest) -> bool:
    """Return whether bans may be changed. Banning what is banned is a change too."""
    return request.user.has_perm("tracking.change_bannedip")


def may_know(request: HttpRequest) -> Callable[[str], bool]:
    """Return what tells of a network whether it may be known to be banned."""
    whole = may_see_whole(request)
    return lambda network: whole or is_wide(network)


def rule(request: HttpRequest, *, replace: bool) -> Callable[[str], Known]:
    """Return what tells of a network what becomes of a ban of it that is in force.

    Args:
        request: the request.
        replace: whether reason and expiry are to be replaced, and the ban perhaps shortened.
    """
    may, knows = may_change(request), may_know(request)
    changed = Known.REPLACED if replace else Known.PROLONGED
    return lambda network: changed if may and knows(network) else Known.KEPT


# What is said and written down afterwards.


def tell(request: HttpRequest, added: Added) -> None:
    """Say how many networks are banned, and which of them were before and stay as they were.

    Of those that must not be known, nothing is said but that they are banned, which is true.
    """
    knows = may_know(request)
    kept = [network for network in added.kept if knows(network)]
    if kept:
        message = ngettext(
            "%(count)s was banned already, and stays as it was: %(networks)s",
            "%(count)s were banned already, and stay as they were: %(networks)s",
            len(kept),
        )
        some = ", ".join(kept[:MAX_SHOWN]) + (", …" if len(kept) > MAX_SHOWN else "")
        messages.warning(
            request, message % {"count": formatting.count(len(kept)), "networks": some}
        )
    if count := sum(map(len, added)) - len(kept):
        message = ngettext("%(count)s network is banned.", "%(count)s networks are banned.", count)
        messages.success(request, message % {"count": formatting.count(count)})


def log(request: HttpRequest, added: Added) -> None:
    """Write into the log of the admin what was banned, a line for each of a few networks."""
    whole, knows = may_see_whole(request), may_know(request)
    # For who may not know whether it was banned before, it looks like all others.
    new = [*added.new, *(network for network in added.kept if not knows(network))]
    rows = BannedIP.objects.values_list("network", "pk")
    keys = dict(rows.filter(network__in=[*new, *added.known]))
    LogEntry.objects.bulk_create(
        [
            # And without the number, which is a small one if it was.
            _entry(request, shown(one, whole=whole), action, keys.get(one) if knows(one) else None)
            for action, networks in ((ADDITION, new), (CHANGE, added.known))
            for one in networks
        ]
    )


def log_import(request: HttpRequest, added: Added) -> None:
    """Write into the log of the admin that a list was imported, in one line."""
    knows = may_know(request)
    banned = [*added.new, *added.known, *(one for one in added.kept if not knows(one))]
    if banned:
        text = ngettext("%(count)s imported network", "%(count)s imported networks", len(banned))
        _entry(request, text % {"count": formatting.count(len(banned))}, ADDITION, None).save()


def _entry(request: HttpRequest, text: str, action: int, key: int | None) -> LogEntry:
    # In the structure of Django's own entries: free text may begin with what it takes for that.
    message = {"changed": {"fields": [gettext_noop("Reason"), gettext_noop("Expires at")]}}
    return LogEntry(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(BannedIP),
        object_id=None if key is None else str(key),
        object_repr=text,
        action_flag=action,
        change_message=json.dumps([{"added": {}} if action == ADDITION else message]),
    )
