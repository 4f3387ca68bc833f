"""One visitor, as the page of active visitors opens it: the visit, what led here, bans."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from tracking.active_visitors.visitors import beacons_of, pages_of, visits_of
from tracking.admin import columns
from tracking.admin.bans.confirmation import (
    Candidate,
    can_ban,
    confirmation_url,
    judged,
    networks_of,
)
from tracking.admin.large_tables import UNKNOWN
from tracking.admin.permitted import Shown
from tracking.admin.related_objects import Tied
from tracking.enrichment.verdict_rules import in_words
from tracking.models import Beacon, Visit, Visitor

#: Pages of the visit, and mails, that are listed at most, the latest.
MAX_PAGES = 50
MAX_BEACONS = 20


def view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    """Answer with what is known of a visitor, as JSON; status 404 if that is nothing."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    visitor = Visitor.objects.filter(pk=pk).first()
    if visitor is None:
        return JsonResponse({}, status=404)
    site = model_admin.admin_site
    shown = Shown([visitor], request, site)
    visit = visits_of([visitor]).get(visitor.key)
    may_see_visits = shown.may("view_visit")
    return JsonResponse(
        {
            "id": visitor.pk,
            "name": columns.place_name(visitor.city, visitor.country) or gettext("Place not known"),
            "facts": [
                {"name": name, "text": text, **more}
                for name, text, more in _facts(visitor, visit, shown)
            ],
            "pages": _pages(visit) if may_see_visits else None,
            "mails": _mails(visitor, request, site) if shown.may("view_beacon") else None,
            "bans": _bans(visitor, request, site),
            "links": list(_links(visitor, visit if may_see_visits else None, site)),
        }
    )


def _facts(
    visitor: Visitor, visit: Visit | None, shown: Shown
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what is known, by what it is called, with what else there is to say of it."""
    label, reason = visitor.get_verdict_display(), in_words(visitor.verdict_reason)
    yield gettext("Page"), visitor.url or UNKNOWN, {}
    yield gettext("Last seen"), columns.exact(visitor.last_update), {}
    yield gettext("On the site since"), columns.exact(visitor.session_start), {}
    yield gettext("Time on site"), columns.length(visitor.time_on_site), {}
    yield gettext("Pages seen"), number_format(visitor.page_views, force_grouping=True), {}
    yield gettext("Came from"), visitor.referrer or gettext("no other site"), {}
    yield gettext("Campaign"), (columns.campaign(visit) if visit else "") or gettext("none"), {}
    yield gettext("Device"), columns.agent_name(visitor) or gettext("not known"), {}
    yield gettext("User agent"), visitor.user_agent or gettext("not told"), {}
    yield gettext("Verdict"), reason or label, {"label": label} if reason else {}
    address = shown.address(visitor) if visitor.ip_address else gettext("not known")
    yield gettext("IP address"), address, {}
    user = shown.user_name(visitor) or gettext("not logged in")
    yield gettext("User"), user, {"url": shown.user_url(visitor)}


def _pages(visit: Visit | None) -> list[dict[str, str]]:
    views = pages_of(visit, MAX_PAGES) if visit else []
    return [{"time": columns.clock(view.time), "page": view.url} for view in views]


def _mails(visitor: Visitor, request: HttpRequest, site: admin.AdminSite) -> list[dict[str, Any]]:
    beacons = beacons_of(visitor, MAX_BEACONS)
    Tied.attach(beacons, request, site)
    return [_mail(beacon, site) for beacon in beacons]


def _mail(beacon: Beacon, site: admin.AdminSite) -> dict[str, Any]:
    tied = Tied.to(beacon)
    return {
        "time": columns.exact(beacon.time),
        "kind": beacon.get_kind_display(),
        "source": tied.name(beacon, "source"),
        "entity": tied.name(beacon, "entity"),
        "led_to": beacon.url,
        "url": _url(site, "beacon", beacon.pk),
    }


def _bans(visitor: Visitor, request: HttpRequest, site: admin.AdminSite) -> list[dict[str, Any]]:
    """Return what may be banned, to who may ban, each with whom it would hit."""
    if visitor.ip_address is None or not can_ban(request, site):
        return []
    texts = networks_of(visitor.ip_address)
    found = zip(texts, judged(request, list(texts)), strict=True)
    return [_ban(texts[network], network, one, site) for network, one in found]


def _ban(text: str, network: str, one: Candidate, site: admin.AdminSite) -> dict[str, Any]:
    return {
        "text": text,
        "network": one.shown,
        "hits": _hits(one.visitors),
        "objections": [*one.objections, *([gettext("It is banned already.")] if one.known else [])],
        "url": None if one.objections else confirmation_url(site, [network]),
    }


def _hits(visitors: int | None) -> str:
    if visitors is None:
        return gettext("Only who may see whole addresses is told how many it would hit.")
    text = ngettext(
        "It would hit %(count)s visitor now.",
        "It would hit %(count)s visitors now.",
        visitors,
    )
    return text % {"count": number_format(visitors, force_grouping=True)}


def _links(
    visitor: Visitor, visit: Visit | None, site: admin.AdminSite
) -> Iterator[dict[str, str]]:
    pages: list[tuple[str, str, Any]] = [(gettext("All of this visitor"), "visitor", visitor.pk)]
    if visit:
        pages.append((gettext("All of this visit"), "visit", visit.pk))
    for text, model, pk in pages:
        if url := _url(site, model, pk):
            yield {"text": text, "url": url}


def _url(site: admin.AdminSite, model: str, pk: Any) -> str | None:
    """Return the page of a row, unless the site does not show its table in the admin."""
    try:
        return reverse(f"{site.name}:tracking_{model}_change", args=[pk])
    except NoReverseMatch:
        return None
