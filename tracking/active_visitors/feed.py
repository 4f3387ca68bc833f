"""The JSON feed of active visitors, for pages that show them live."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_permission_codename, get_user_model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.translation import gettext, ngettext

from tracking import client_address
from tracking.active_visitors.visitors import current_visits, latest_visitors
from tracking.enrichment.country_names import country_name
from tracking.models import Visit, Visitor

#: A response lists at most this many visitors, the latest.
MAX_LISTED = 1_000


def active(request: HttpRequest) -> HttpResponse:
    """Return the active visitors as JSON: ``{"users": [...], "total": 3}``.

    It lists the latest first, a thousand at most. Each has the fields of django-user-tracking,
    its texts escaped for HTML: ``id``, ``user_agent``, ``referrer``, ``url``, ``page_views``,
    ``geoip``, ``last_update`` (seconds ago), ``friendly_time`` (the same in words). More fields
    are ``started_at`` (ISO 8601), ``time_on_site`` (seconds), ``campaign`` (the UTM parameters
    that the visit began with, without ``utm_``), ``user`` (the name, or null if nobody is logged
    in or the permission to view users is missing), ``browser``, ``os``, ``device``, ``verdict``
    and ``network`` (the IP address without its last part). Session keys and full addresses are
    left out.

    Args:
        request: the current request; its user needs the permission ``tracking.view_visitor``.

    Returns:
        The feed, or status 403 and ``{"error": ...}`` without the permission.
    """
    user = getattr(request, "user", None)
    if not _may_view_visitors(user):
        response = JsonResponse({"error": "tracking.view_visitor is needed."}, status=403)
    else:
        listed = latest_visitors(MAX_LISTED + 1)
        total = len(listed) if len(listed) <= MAX_LISTED else Visitor.objects.active().count()
        names = _user_names(listed, user)
        visits = current_visits(listed[:MAX_LISTED])
        users = [
            {**_as_json(visitor, names), "campaign": _campaign(visits.get(visitor.key))}
            for visitor in listed[:MAX_LISTED]
        ]
        response = JsonResponse({"users": users, "total": total})
    response["Cache-Control"] = "no-store"
    return response


def redirect_to_map(request: HttpRequest) -> HttpResponse:
    """Redirect from the URL of django-user-tracking's map to the page of active visitors.

    Raises:
        django.http.Http404: the user may not view visitors, so strangers do not learn where the
            admin is; or the site's admin does not show visitors.
    """
    if not _may_view_visitors(getattr(request, "user", None)):
        raise Http404
    try:
        return HttpResponseRedirect(reverse("admin:tracking_visitor_active"))
    except NoReverseMatch as error:
        raise Http404 from error


def _may_view_visitors(user: Any) -> bool:
    """Return whether a user may view visitors. A site's own user model may lack ``has_perm``."""
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm("tracking.view_visitor"))


def _user_names(visitors: Iterable[Visitor], reader: Any) -> dict[Any, str]:
    """Return the names of logged-in users by primary key, if ``reader`` may view users."""
    model = get_user_model()
    if not reader.has_perm(
        f"{model._meta.app_label}.{get_permission_codename('view', model._meta)}"
    ):
        return {}
    keys = {visitor.user_id for visitor in visitors if visitor.user_id is not None}
    found = model._default_manager.in_bulk(list(keys))
    return {key: user.get_username() for key, user in found.items()}


def _as_json(visitor: Visitor, names: Mapping[Any, str]) -> dict[str, Any]:
    now = timezone.now() if settings.USE_TZ else datetime.now()
    # The clock of another machine may be ahead.
    since = max(now - visitor.last_update, timedelta(0))
    address = visitor.ip_address
    return {
        "id": visitor.pk,
        "user_agent": escape(visitor.user_agent),
        "referrer": escape(visitor.referrer),
        "url": escape(visitor.url),
        "page_views": visitor.page_views,
        "geoip": _place(visitor),
        "last_update": int(since.total_seconds()),
        "friendly_time": in_words(since),
        "started_at": visitor.session_start.isoformat(timespec="seconds"),
        "time_on_site": int(visitor.time_on_site.total_seconds()),
        "user": escape(names[visitor.user_id]) if visitor.user_id in names else None,
        "browser": escape(visitor.browser),
        "os": escape(visitor.os),
        "device": visitor.device,
        "verdict": visitor.verdict,
        "network": client_address.mask(address) if address else None,
    }


def _campaign(visit: Visit | None) -> dict[str, str]:
    names = ("source", "medium", "campaign", "term", "content") if visit else ()
    values = ((name, escape(getattr(visit, name))) for name in names)
    return {name: value for name, value in values if value}


def _place(visitor: Visitor) -> dict[str, Any]:
    if not visitor.country:
        return {}
    return {
        "country_code": visitor.country,
        "country_name": escape(country_name(visitor.country)),
        "region": escape(visitor.region),
        "city": escape(visitor.city),
        "latitude": visitor.latitude,
        "longitude": visitor.longitude,
    }


def in_words(time: timedelta) -> str:
    """Return a duration in words, to the second: ``"2 minutes, 5 seconds"``."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        ngettext("%d hour", "%d hours", hours) % hours if hours else "",
        ngettext("%d minute", "%d minutes", minutes) % minutes if minutes else "",
        ngettext("%d second", "%d seconds", seconds) % seconds if seconds else "",
    ]
    return ", ".join(part for part in parts if part) or gettext("just now")
