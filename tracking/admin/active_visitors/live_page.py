"""The page of active visitors: a map and a list that update themselves.

The page gets its data as JSON: plain text, in the language and the time zone of the user. Its
scripts insert it as text, never as HTML, since much of it comes from strangers.
"""

from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from tracking.active_visitors import places
from tracking.active_visitors.places import Place, VisitorsByPlace
from tracking.active_visitors.visitors import current_visits, latest_visitors
from tracking.admin import columns
from tracking.admin.active_visitors import visitor_details
from tracking.admin.admin_page import full_page
from tracking.admin.permitted_values import VisitorDisplay
from tracking.conf import conf
from tracking.enrichment.verdict_rules import Label
from tracking.models import Visit, Visitor
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN

#: The list shows at most this many visitors, the latest.
MAX_LISTED = 100

#: The app of django-js-lib-leaflet, which has the map library.
MAP_APP = "js_lib_leaflet"

#: The list cuts URLs and names to this many characters; the details of a visitor do not.
MAX_SHOWN = 200


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the URL patterns of the page and of the JSON that it fetches."""
    wrap = model_admin.admin_site.admin_view
    return [
        path("active/", wrap(partial(page, model_admin)), name="tracking_visitor_active"),
        path(
            "active/now/",
            wrap(partial(_data_view, model_admin)),
            name="tracking_visitor_active_now",
        ),
        path(
            "active/<int:pk>/",
            wrap(partial(visitor_details.view, model_admin)),
            name="tracking_visitor_active_one",
        ),
    ]


def page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Return the page; it includes its first data.

    Args:
        model_admin: the admin of visitors.
        request: the current request.

    Raises:
        PermissionDenied: the user may not view visitors.
    """
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    site = model_admin.admin_site
    return full_page(
        request,
        site,
        conf.map_template,
        title=gettext("Active visitors"),
        opts=model_admin.opts,
        answer=_data(request, site),
        texts=_script_texts(),
        now_url=reverse(f"{site.name}:tracking_visitor_active_now"),
        visitor_url=reverse(f"{site.name}:tracking_visitor_active_one", args=[0]),
        has_map=apps.is_installed(MAP_APP),
        map_app=MAP_APP,
        tiles=conf.map_tiles,
        attribution=conf.map_attribution,
        minutes=number_format(conf.timeout),
        missing=_missing_settings(),
    )


def _data_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Return the current data of the page as JSON."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    return JsonResponse(_data(request, model_admin.admin_site))


def _data(request: HttpRequest, site: admin.AdminSite) -> dict[str, Any]:
    now, chosen = places.count_by_place(), request.GET.get("place", "")
    visitors = latest_visitors(MAX_LISTED, chosen)
    visits = current_visits(visitors)
    display = VisitorDisplay(visitors, request, site)
    return {
        "time": columns.time_of_day(timezone.now()),
        "people": number_format(now.visitors - now.machines, force_grouping=True),
        "machines": _machines(now),
        "is_empty": not (now.visitors or visitors or chosen),
        "places": [_place(place) for place in now.places],
        "chosen": _chosen(chosen, now, visitors),
        "visitors": [_visitor(one, visits.get(one.key), display) for one in visitors],
        "more": _more(len(visitors), _visitor_count(chosen, now)),
    }


def _machines(now: VisitorsByPlace) -> str:
    if not now.machines:
        return ""
    text = ngettext("plus %(count)s machine", "plus %(count)s machines", now.machines)
    return text % {"count": number_format(now.machines, force_grouping=True)}


def _visitor_count(chosen: str, now: VisitorsByPlace) -> int:
    if not chosen:
        return now.visitors
    return next((place.visitors for place in now.places if place.key == chosen), 0)


def _more(listed: int, number: int) -> str:
    if number <= listed:
        return ""
    return gettext("Showing the latest %(listed)s of %(number)s.") % {
        "listed": number_format(listed),
        "number": number_format(number, force_grouping=True),
    }


def _place(place: Place) -> dict[str, Any]:
    name = _place_name(place)
    number = number_format(place.visitors, force_grouping=True)
    return {
        "key": place.key,
        "name": name,
        "number": number,
        "visitors": place.visitors,
        "text": ngettext(
            "%(place)s: %(count)s visitor", "%(place)s: %(count)s visitors", place.visitors
        )
        % {"place": name, "count": number},
        "latitude": place.latitude,
        "longitude": place.longitude,
        "age": int(columns.elapsed(place.newest).total_seconds()),
    }


def _place_name(place: Place) -> str:
    name = columns.place_name(place.city, place.country) or gettext("Unknown place")
    if not place.others:
        return name
    text = ngettext(
        "%(place)s and %(count)s nearby place",
        "%(place)s and %(count)s nearby places",
        place.others,
    )
    return text % {"place": name, "count": number_format(place.others, force_grouping=True)}


def _chosen(chosen: str, now: VisitorsByPlace, visitors: list[Visitor]) -> dict[str, Any] | None:
    """Return the place whose visitors are listed, even if nobody is there any more."""
    if not chosen:
        return None
    for place in now.places:
        if place.key == chosen:
            return {"key": chosen, "name": _place_name(place)}
    names = (columns.place_name(one.city, one.country) for one in visitors)
    return {"key": chosen, "name": next(filter(None, names), gettext("This place"))}


def _visitor(visitor: Visitor, visit: Visit | None, display: VisitorDisplay) -> dict[str, Any]:
    is_human = visitor.verdict == Label.HUMAN
    return {
        "id": visitor.pk,
        "place": columns.place_name(visitor.city, visitor.country) or gettext("Unknown place"),
        "label": "" if is_human else visitor.get_verdict_display(),
        "page": visitor.url[:MAX_SHOWN] or UNKNOWN,
        "since": gettext("since %s") % columns.time_of_day(visitor.session_start)[:5],
        "seen": _pages_and_time(visitor),
        "origin": _origin(visitor, visit)[:MAX_SHOWN],
        "agent": columns.agent_name(visitor) or gettext("Unknown browser"),
        "user": display.user_name(visitor)[:MAX_SHOWN],
    }


def _pages_and_time(visitor: Visitor) -> str:
    pages = columns.page_count(visitor.page_views)
    if visitor.page_views <= 1:  # the time spent on the last page is unknown
        return pages
    time = formatting.duration(visitor.time_on_site)
    return gettext("%(pages)s in %(time)s") % {"pages": pages, "time": time}


def _origin(visitor: Visitor, visit: Visit | None) -> str:
    campaign = columns.campaign(visit) if visit else ""
    if campaign:
        return gettext("via %s") % campaign
    site = columns.came_from(visitor.referrer, visit)
    return gettext("from %s") % site if site else gettext("direct")


def _missing_settings() -> list[str]:
    """Return lines to add to the settings, without which no visitor or no place appears."""
    middleware = "tracking.middleware.VisitorTrackingMiddleware"
    lines = []
    if middleware not in settings.MIDDLEWARE:
        lines.append(f'MIDDLEWARE += ["{middleware}"]')
    if not conf.use_geoip:
        lines.append("TRACKING_USE_GEOIP = True")
    if not conf.geoip_path:
        lines.append('GEOIP_PATH = "/var/lib/geoip/"')
    return lines


def _script_texts() -> dict[str, str]:
    """Return the texts that the scripts show."""
    return {
        "updated": gettext("Updated %s"),
        "last_updated": gettext("Last updated %s"),
        "paused": gettext("Paused while this tab is hidden"),
        "failed": gettext(
            "The site does not respond. Showing data from %s. Retrying every five seconds."
        ),
        "logged_out": gettext("You are no longer logged in. Showing data from %s."),
        "log_in": gettext("Log in again"),
        "forbidden": gettext(
            "You no longer have permission to view visitors. Showing data from %s."
        ),
        "no_script": gettext("The map could not be loaded. The lists still work."),
        "no_world": gettext("The country outlines could not be loaded. Dots and lists still work."),
        "zoom_in": gettext("Zoom in"),
        "zoom_out": gettext("Zoom out"),
        "all": gettext("Latest visitors"),
        "at_place": gettext("Visitors in %s"),
        "nobody_there": gettext("There are no visitors any more."),
        "gone": gettext("This visitor does not exist any more, or the link is wrong."),
        "log_in_to_see": gettext("You are no longer logged in. Log in again to view the visitor."),
        "not_loaded": gettext("The visitor could not be loaded. The map and the list still work."),
        "more_places": gettext("Show all %s places"),
        "fewer_places": gettext("Show ten places"),
    }
