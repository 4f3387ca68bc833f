"""Log each open and click."""

import logging

from tracking import TrackingPixel, tracker

logger = logging.getLogger(__name__)


@tracker.register
class CampaignPixel(TrackingPixel):
    """Logs opens and clicks."""

    def record(self, request, *args, **kwargs):
        """Log the campaign and the kind of URL."""
        logger.info("Campaign %s: %s", kwargs.get("campaign"), request.path.rpartition("/")[0])
