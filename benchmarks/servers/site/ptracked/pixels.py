"""The callback of django-ptrack."""

from typing import Any

import ptrack
from django.http import HttpRequest

from benchmarks.servers.site.views import opened


class Pixel(ptrack.TrackingPixel):
    """Writes a row, as in the documentation of django-ptrack."""

    def record(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Write a row for the request."""
        opened(request, {"args": args, **kwargs})


ptrack.tracker.register(Pixel)
