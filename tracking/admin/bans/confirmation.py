"""The page that confirms bans before they are made.

Any view or action of the admin can return it::

    if can_ban(request, self.admin_site):
        return ban_confirmation(request, self.admin_site, networks, title="Ban these?")
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.admin.admin_page import admin_url
from tracking.admin.bans.candidates import (
    merged_candidates,
    network_token,
    networks_from_tokens,
)
from tracking.admin.bans.outcome import add_messages, log_bans
from tracking.admin.bans.pages import back_to_list, page
from tracking.admin.bans.permissions import existing_ban_policy, may_change_bans
from tracking.admin.masking import display_network, may_view_full_addresses
from tracking.bans import bulk_ban
from tracking.bans.bulk_ban import BanEntry

#: One confirmation takes at most this many networks.
MAX_NETWORKS = 200

_URL_NAME = "tracking_bannedip_confirm"

#: Days until a ban expires, by the choice in the form.
_DAYS = {"": None, "1": 1, "7": 7, "30": 30}


def can_ban(request: HttpRequest, admin_site: admin.AdminSite) -> bool:
    """Return whether the user may ban, and the site has the page that confirms bans.

    It has none if its admin does not list bans, or lists them with a ModelAdmin of its own.
    """
    return bool(admin_url(admin_site, _URL_NAME)) and request.user.has_perm("tracking.add_bannedip")


class ConfirmationForm(forms.Form):
    """Reason and expiry of the bans, and whether they replace those of existing bans."""

    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)
    days = forms.ChoiceField(
        label=_("Expires"),
        required=False,
        choices=[
            ("", _("never")),
            ("1", _("in one day")),
            ("7", _("in one week")),
            ("30", _("in one month")),
        ],
    )

    replace = forms.BooleanField(
        label=_("Replace reason and expiry of existing bans"), required=False
    )

    reason.widget.attrs["class"] = "vTextField"


def ban_confirmation(
    request: HttpRequest,
    admin_site: admin.AdminSite,
    networks: Iterable[str],
    *,
    title: str,
    form: ConfirmationForm | None = None,
) -> HttpResponse:
    """Return the page that shows whom the bans affect, and asks for confirmation.

    Args:
        request: the current request; see :func:`can_ban`.
        admin_site: the admin site.
        networks: what to ban; see :func:`tracking.bans.network_to_ban`.
        title: the heading.
        form: the form as the user sent it, if it has errors.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not ban, or the site has no such
            page.
    """
    if not can_ban(request, admin_site):
        raise PermissionDenied
    wanted = list(islice(dict.fromkeys(networks), MAX_NETWORKS + 1))
    found = merged_candidates(request, wanted[:MAX_NETWORKS])
    possible = [one for one in found if not one.objections]
    kept = [one for one in possible if one.known and not may_change_bans(request)]
    candidates = [one for one in possible if one not in kept]
    form = form or ConfirmationForm()
    if not any(one.known for one in candidates):
        del form.fields["replace"]
    return page(
        request,
        admin_site,
        "ban_confirmation",
        title=title,
        form=form,
        candidates=candidates,
        has_known="replace" in form.fields,
        kept=kept,
        refused=[one for one in found if one.objections],
        is_cut=len(wanted) > MAX_NETWORKS,
        limit=MAX_NETWORKS,
        action=admin_url(admin_site, _URL_NAME),
    )


def confirmation_url(admin_site: admin.AdminSite, networks: Iterable[str]) -> str:
    """Return the URL of the page that confirms bans, for a link or a button.

    Args:
        admin_site: the admin site.
        networks: what to ban; only a few, since the URL contains them.

    Raises:
        django.urls.NoReverseMatch: the site has no such page; see :func:`can_ban`.
    """
    query = urlencode({"network": [network_token(network) for network in networks]}, doseq=True)
    path = reverse(f"{admin_site.name}:{_URL_NAME}")
    return f"{path}?{query}"


def confirmation_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Show the confirmation, or make the confirmed bans.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not ban.
    """
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else request.GET
    networks = networks_from_tokens(sent.getlist("network")[:MAX_NETWORKS])
    if not networks:
        messages.error(request, gettext("There is nothing to ban."))
        return back_to_list(request, model_admin)
    form = ConfirmationForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        title = gettext("Ban addresses")
        return ban_confirmation(request, model_admin.admin_site, networks, title=title, form=form)
    days = _DAYS[form.cleaned_data["days"]]
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    entries = [
        BanEntry(0, network, form.cleaned_data["reason"], expires_at)
        for network in _bannable(request, networks)
    ]
    added = bulk_ban.ban_all(
        entries, existing_ban_policy(request, replace=form.cleaned_data["replace"])
    )
    log_bans(request, added)
    add_messages(request, added)
    return back_to_list(request, model_admin)


def _bannable(request: HttpRequest, networks: Iterable[str]) -> list[str]:
    """Return the networks that may be banned, and add a message about each of the others."""
    full, own_address = may_view_full_addresses(request), client_address.client_address(request)
    found = []
    for network in dict.fromkeys(networks):
        if why := bans.find_objections(network, own_address=own_address):
            name = display_network(network, full=full)
            messages.warning(request, gettext("%s is not banned.") % name + " " + " ".join(why))
        else:
            found.append(network)
    return found
