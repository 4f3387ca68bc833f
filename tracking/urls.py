"""The URLs of the app. A site includes them under a short prefix.

path("t/", include("tracking.urls"))
"""

import re

from django.urls import path, re_path

from tracking import health, views
from tracking.active_visitors import feed
from tracking.links import TRAILING
from tracking.recipient_consent.preferences import preferences
from tracking.recipient_consent.unsubscribing import unsubscribe

app_name = "tracking"


_ADDED = f"[{re.escape(TRAILING)}]"

urlpatterns = [
    path("<str:token>.gif", views.pixel, name="pixel"),
    # Short links without a token, for print and for typing by hand. They name only a target and
    # a source.
    path("to/<int:target_id>", views.target, name="target"),
    path("to/<int:target_id>/<slug:source_slug>", views.target, name="target"),
    path("from/<slug:source_slug>.gif", views.source, name="source"),
    path("active", feed.active, name="active"),
    path("map/", feed.redirect_to_map, name="map"),
    path("preferences/<str:token>", preferences, name="preferences"),
    path("unsubscribe/<str:token>", unsubscribe, name="unsubscribe"),
    path("health", health.health, name="health"),
    # The same with what mail programs add to the end. No URL is made of them: they have no names.
    re_path(rf"^(?P<token>[^/]+)\.gif{_ADDED}+\Z", views.pixel),
    re_path(rf"^to/(?P<target_id>[0-9]+){_ADDED}+\Z", views.target),
    re_path(rf"^to/(?P<target_id>[0-9]+)/(?P<source_slug>[-\w]+){_ADDED}+\Z", views.target),
    re_path(rf"^from/(?P<source_slug>[-\w]+)\.gif{_ADDED}+\Z", views.source),
    re_path(rf"^preferences/(?P<token>[^/]+){_ADDED}+\Z", preferences),
    re_path(rf"^unsubscribe/(?P<token>[^/]+){_ADDED}+\Z", unsubscribe),
    path("<str:token>", views.redirect, name="redirect"),
    # No token is that short: a word and a slash may be a page of the site.
    re_path(rf"^(?P<token>[^/]{{20,}})/{_ADDED}*\Z", views.redirect),
]
