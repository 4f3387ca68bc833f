"""Found by the app when Django starts."""

from tracking import TrackingPixel, tracker


@tracker.register
class SitePixel(TrackingPixel):
    """Registered by being there."""

    seen: list = []

    def record(self, request, *args, **kwargs):
        self.seen.append((args, kwargs))
