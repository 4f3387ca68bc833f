"""The details of one visitor on the page of active visitors: visit, mails and bans, as JSON."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from tracking.active_visitors.visitors import current_visits, latest_beacons, latest_pages
from tracking.admin import columns
from tracking.admin.admin_page import admin_url
from tracking.admin.bans.candidates import Candidate, ban_candidates, ban_choices
from tracking.admin.bans.confirmation import can_ban, confirmation_url
from tracking.admin.permitted_values import BeaconDisplay, VisitorDisplay
from tracking.enrichment.verdict_reasons import translate_reason
from tracking.models import Beacon, Visit, Visitor
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN

#: At most this many of the latest pages and beacons are listed.
MAX_PAGES = 50
MAX_BEACONS = 20


def view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    """Return the details of a visitor as JSON, with status 404 if there is no such visitor.

    Args:
        model_admin: the ModelAdmin of visitors.
        request: the current request.
        pk: the primary key of the visitor.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not view visitors.
    """
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    visitor = Visitor.objects.filter(pk=pk).first()
    if visitor is None:
        return JsonResponse({}, status=404)
    site = model_admin.admin_site
    display = VisitorDisplay([visitor], request, site)
    visit = current_visits([visitor]).get(visitor.key)
    may_see_visits = display.may("view_visit")
    return JsonResponse(
        {
            "id": visitor.pk,
            "name": columns.place_name(visitor.city, visitor.country) or gettext("Unknown place"),
            "facts": [
                {"name": name, "text": text, **more}
                for name, text, more in _facts(visitor, visit, display)
            ],
            "pages": _pages(visit) if may_see_visits else None,
            "mails": _mails(visitor, request, site) if display.may("view_beacon") else None,
            "bans": _bans(visitor, request, site),
            "links": list(_links(visitor, visit if may_see_visits else None, site)),
        }
    )


def _facts(
    visitor: Visitor, visit: Visit | None, display: VisitorDisplay
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the label and the text of each fact, and its link or badge."""
    label, reason = visitor.get_verdict_display(), translate_reason(visitor.verdict_reason)
    yield gettext("Page"), visitor.url or UNKNOWN, {}
    yield gettext("Last seen"), columns.exact_time(visitor.last_update), {}
    yield gettext("On the site since"), columns.exact_time(visitor.session_start), {}
    yield gettext("Time on site"), formatting.duration(visitor.time_on_site), {}
    yield gettext("Page views"), number_format(visitor.page_views, force_grouping=True), {}
    site = visitor.referrer or columns.came_from("", visit)
    yield gettext("Came from"), site or gettext("direct"), {}
    yield gettext("Campaign"), (columns.campaign(visit) if visit else "") or gettext("none"), {}
    yield gettext("Device"), columns.agent_name(visitor) or gettext("unknown"), {}
    yield gettext("User agent"), visitor.user_agent or gettext("not sent"), {}
    yield gettext("Verdict"), reason or label, {"label": label} if reason else {}
    address = display.address(visitor) if visitor.ip_address else gettext("unknown")
    yield gettext("IP address"), address, {}
    user = display.user_name(visitor) or gettext("not logged in")
    yield gettext("User"), user, {"url": display.user_url(visitor)}


def _pages(visit: Visit | None) -> list[dict[str, str]]:
    views = latest_pages(visit, MAX_PAGES) if visit else []
    return [{"time": columns.time_of_day(view.time), "page": view.url} for view in views]


def _mails(visitor: Visitor, request: HttpRequest, site: admin.AdminSite) -> list[dict[str, Any]]:
    beacons = latest_beacons(visitor, MAX_BEACONS)
    BeaconDisplay.attach(beacons, request, site)
    return [_mail(beacon, site) for beacon in beacons]


def _mail(beacon: Beacon, site: admin.AdminSite) -> dict[str, Any]:
    display = BeaconDisplay.of(beacon)
    return {
        "time": columns.exact_time(beacon.time),
        "kind": beacon.get_kind_display(),
        "source": display.name(beacon, "source"),
        "entity": display.name(beacon, "entity"),
        "led_to": beacon.url,
        "url": admin_url(site, "tracking_beacon_change", beacon.pk) or None,
    }


def _bans(visitor: Visitor, request: HttpRequest, site: admin.AdminSite) -> list[dict[str, Any]]:
    """Return the possible bans, each with whom it affects; none if the user may not ban."""
    if visitor.ip_address is None or not can_ban(request, site):
        return []
    texts = ban_choices(visitor.ip_address)
    found = zip(texts, ban_candidates(request, list(texts)), strict=True)
    return [_ban(texts[network], network, one, site) for network, one in found]


def _ban(text: str, network: str, one: Candidate, site: admin.AdminSite) -> dict[str, Any]:
    return {
        "text": text,
        "network": one.shown,
        "hits": _affected(one.visitors),
        "objections": [*one.objections, *([gettext("Already banned.")] if one.known else [])],
        "url": None if one.objections else confirmation_url(site, [network]),
    }


def _affected(visitors: int | None) -> str:
    if visitors is None:
        return gettext(
            "You need permission to view full IP addresses to see how many visitors this affects."
        )
    text = ngettext(
        "Affects %(count)s current visitor.",
        "Affects %(count)s current visitors.",
        visitors,
    )
    return text % {"count": number_format(visitors, force_grouping=True)}


def _links(
    visitor: Visitor, visit: Visit | None, site: admin.AdminSite
) -> Iterator[dict[str, str]]:
    pages: list[tuple[str, str, Any]] = [
        (gettext("Visitor details"), "tracking_visitor_change", visitor.pk)
    ]
    if visit:
        pages.append((gettext("Visit details"), "tracking_visit_change", visit.pk))
    for text, name, pk in pages:
        if url := admin_url(site, name, pk):
            yield {"text": text, "url": url}
