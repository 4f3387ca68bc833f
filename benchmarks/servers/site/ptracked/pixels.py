"""What django-ptrack calls for each pixel."""

from typing import Any

import ptrack
from django.http import HttpRequest

from benchmarks.servers.site.views import opened


class Pixel(ptrack.TrackingPixel):
    """Writes a row, as its documents show it."""

    def record(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        opened(request, {"args": args, **kwargs})


ptrack.tracker.register(Pixel)
