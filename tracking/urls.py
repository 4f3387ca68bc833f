"""The URLs of the app, included by the site under a short prefix.

path("t/", include("tracking.urls"))
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path
from django.urls.resolvers import ResolverMatch, RoutePattern

from tracking import health, views
from tracking.active_visitors import feed

app_name = "tracking"


class _OnEither(URLPattern):
    """A path that leads to one view in a thread and to another in an event loop.

    For a view that is a function Django would send each request of an asynchronous server
    through a thread, and for a coroutine function start a loop for each one of any other.
    """

    def __init__(
        self, route: str, view: Callable[..., Any], in_loop: Callable[..., Any], name: str
    ) -> None:
        super().__init__(RoutePattern(route, name=name, is_endpoint=True), view, name=name)
        self._in_loop = in_loop

    def resolve(self, path: str) -> ResolverMatch | None:
        """Return the view for where this is asked, as Django's own class returns its only one."""
        match = super().resolve(path)
        if match is not None and _is_in_event_loop():
            match.func = self._in_loop
        return match


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    # Who sets this has a loop around code that is none of its tasks, as Playwright does.
    return not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


urlpatterns = [
    _OnEither("<str:token>.gif", views.pixel, views.apixel, "pixel"),
    # Without a token, for whoever prints them or types them by hand. They tell nothing
    # but which target and which source.
    path("to/<int:target_id>", views.target, name="target"),
    path("to/<int:target_id>/<slug:source_slug>", views.target, name="target"),
    path("from/<slug:source_slug>.gif", views.source, name="source"),
    path("active", feed.active, name="active"),
    path("map/", feed.redirect_to_map, name="map"),
    path("health", health.health, name="health"),
    _OnEither("<str:token>", views.redirect, views.aredirect, "redirect"),
]
