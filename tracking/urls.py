"""The URLs of the app. A site includes them under a short prefix.

path("t/", include("tracking.urls"))
"""

from django.urls import path

from tracking import health, views
from tracking.active_visitors import feed

app_name = "tracking"


urlpatterns = [
    path("<str:token>.gif", views.pixel, name="pixel"),
    # Short links without a token, for print and for typing by hand. They name only a target and
    # a source.
    path("to/<int:target_id>", views.target, name="target"),
    path("to/<int:target_id>/<slug:source_slug>", views.target, name="target"),
    path("from/<slug:source_slug>.gif", views.source, name="source"),
    path("active", feed.active, name="active"),
    path("map/", feed.redirect_to_map, name="map"),
    path("health", health.health, name="health"),
    path("<str:token>", views.redirect, name="redirect"),
]
