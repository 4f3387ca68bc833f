"""The URLs of the app, included by the site under a short prefix.

path("t/", include("tracking.urls"))
"""

from django.urls import path

from tracking import health, views
from tracking.active_visitors import feed

app_name = "tracking"


urlpatterns = [
    path("<str:token>.gif", views.pixel, name="pixel"),
    # Without a token, for whoever prints them or types them by hand. They tell nothing
    # but which target and which source.
    path("to/<int:target_id>", views.target, name="target"),
    path("to/<int:target_id>/<slug:source_slug>", views.target, name="target"),
    path("from/<slug:source_slug>.gif", views.source, name="source"),
    path("active", feed.active, name="active"),
    path("map/", feed.redirect_to_map, name="map"),
    path("health", health.health, name="health"),
    path("<str:token>", views.redirect, name="redirect"),
]
