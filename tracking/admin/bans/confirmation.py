"""The page that asks before bans are made, wherever in the admin that was wished for.

if can_ban(request, self.admin_site):
    return ban_confirmation(request, self.admin_site, networks, title="Ban these?")
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address, tokens
from tracking.admin.bans import import_pages
from tracking.admin.bans.pages import back_to_list, log, may_change, may_know, page, rule, tell
from tracking.admin.masking import may_see_whole, shown
from tracking.bans import import_export
from tracking.bans.import_export import Entry

#: Networks that one confirmation takes at most.
MAX_NETWORKS = 200

#: Between two pages a network travels in a token: who sees it masked sees no more of it there.
_SALT = "tracking.admin.bans.model_admin"

_DAYS = {"": None, "1": 1, "7": 7, "30": 30}


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the patterns of this page, and of those for import and export."""
    wrap = model_admin.admin_site.admin_view
    views = {"confirm": _confirm, "import": import_pages.take_in, "export": import_pages.give_out}
    return [
        path(f"{name}/", wrap(partial(view, model_admin)), name=f"tracking_bannedip_{name}")
        for name, view in views.items()
    ]


def can_ban(request: HttpRequest, admin_site: admin.AdminSite) -> bool:
    """Return whether who sends a request may ban, and there is a page that asks before.

    There is none where the site shows no bans in its admin, or by a ModelAdmin of its own.
    """
    try:
        _url(admin_site)
    except NoReverseMatch:
        return False
    return request.user.has_perm("tracking.add_bannedip")


def _url(admin_site: admin.AdminSite) -> str:
    return reverse(f"{admin_site.name}:tracking_bannedip_confirm")


class ConfirmationForm(forms.Form):
    """Why, and for how long; and whether that goes for what is banned already."""

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
        label=_("Replace reason and expiry of what is banned already"), required=False
    )

    reason.widget.attrs["class"] = "vTextField"


class Candidate(NamedTuple):
    """Networks that may be banned, and look the same to who is looking."""

    #: How they are written for who is looking.
    shown: str
    tokens: list[str]
    #: How many visitors of now they hit, or ``None`` where that would tell an address.
    visitors: int | None
    objections: list[str]
    #: The ban that is in force already, if it may be known.
    known: Entry | None


def ban_confirmation(
    request: HttpRequest,
    admin_site: admin.AdminSite,
    networks: Iterable[str],
    *,
    title: str,
    form: ConfirmationForm | None = None,
) -> HttpResponse:
    """Return a page that shows whom the bans would hit, and asks before they are made.

    An action or a view of another model returns it as its answer.

    Args:
        request: the request; see :func:`can_ban`.
        admin_site: the site of the admin.
        networks: what is to be banned, as of :func:`tracking.bans.network_for`.
        title: the heading.
        form: reason and expiry as they were sent, if they are to be corrected.

    Raises:
        django.core.exceptions.PermissionDenied: the permission is not held, or there is no
            such page.
    """
    if not can_ban(request, admin_site):
        raise PermissionDenied
    wanted = list(islice(dict.fromkeys(networks), MAX_NETWORKS + 1))
    found = _candidates(request, wanted[:MAX_NETWORKS])
    possible = [one for one in found if not one.objections]
    kept = [one for one in possible if one.known and not may_change(request)]
    candidates = [one for one in possible if one not in kept]
    form = form or ConfirmationForm()
    if not any(one.known for one in candidates):
        del form.fields["replace"]
    return page(
        request,
        admin_site,
        "confirm",
        title=title,
        form=form,
        candidates=candidates,
        has_known="replace" in form.fields,
        kept=kept,
        refused=[one for one in found if one.objections],
        is_cut=len(wanted) > MAX_NETWORKS,
        limit=MAX_NETWORKS,
        action=_url(admin_site),
    )


def confirmation_url(admin_site: admin.AdminSite, networks: Iterable[str]) -> str:
    """Return the URL of that page, for a link or a button.

    Args:
        admin_site: the site of the admin.
        networks: what is to be banned; a few, since they go into the URL.

    Raises:
        django.urls.NoReverseMatch: there is no such page; see :func:`can_ban`.
    """
    query = urlencode({"network": [_sealed(network) for network in networks]}, doseq=True)
    return f"{_url(admin_site)}?{query}"


def networks_of(address: str) -> dict[str, str]:
    """Return what may be banned to keep out a visitor, each with what that is called.

    Args:
        address: the visitor's, as it is recorded.
    """
    # Where addresses are recorded masked, both are the same, and the narrower text is not true.
    return {
        bans.network_for(address, wide=False): gettext("Ban this address"),
        bans.network_for(address, wide=True): gettext("Ban this network"),
    }


def judged(request: HttpRequest, networks: Sequence[str]) -> list[Candidate]:
    """Return for each network what a ban of it would mean, in the same order.

    Args:
        request: the request of who may ban; see :func:`can_ban`.
        networks: what would be banned.
    """
    whole, own_address = may_see_whole(request), client_address.address(request)
    knowable = [network for network in networks if may_know(request)(network)]
    visitors = bans.visitors_by_network(knowable)
    known = import_export.known(knowable)
    return [
        Candidate(
            shown(network, whole=whole),
            [_sealed(network)],
            visitors.get(network),
            bans.objections(network, own_address=own_address),
            known.get(network),
        )
        for network in networks
    ]


def _candidates(request: HttpRequest, networks: Sequence[str]) -> list[Candidate]:
    """Return the same; several addresses of one network are one line for who sees them masked."""
    found: dict[tuple[str, ...], Candidate] = {}
    for one in judged(request, networks):
        like = found.setdefault((one.shown, *one.objections), one)
        if like is not one:
            like.tokens.extend(one.tokens)
    return list(found.values())


def _sealed(network: str) -> str:
    return tokens.dumps([network], {}, salt=_SALT)


def _unsealed(texts: Iterable[str]) -> list[str]:
    """Return the networks of those tokens that were made here."""
    networks = []
    for text in texts:
        try:
            networks.append(str(tokens.loads(text, salt=_SALT).args[0]))
        except tokens.BadToken:
            continue
    return networks


def _confirm(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Show the confirmation, or do what was confirmed."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else request.GET
    networks = _unsealed(sent.getlist("network")[:MAX_NETWORKS])
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
        Entry(0, network, form.cleaned_data["reason"], expires_at)
        for network in _unobjected(request, networks)
    ]
    added = import_export.add(entries, rule(request, replace=form.cleaned_data["replace"]))
    log(request, added)
    tell(request, added)
    return back_to_list(request, model_admin)


def _unobjected(request: HttpRequest, networks: Iterable[str]) -> list[str]:
    """Return what may be banned, and say of the others why not."""
    whole, own_address = may_see_whole(request), client_address.address(request)
    found = []
    for network in dict.fromkeys(networks):
        if why := bans.objections(network, own_address=own_address):
            name = shown(network, whole=whole)
            messages.warning(request, gettext("%s is not banned.") % name + " " + " ".join(why))
        else:
            found.append(network)
    return found
