"""Log each open and click."""

import logging

from tracking import TrackingPixel, tracker

logger = logging.getLogger(__name__)


@tracker.register
class CampaignPixel(TrackingPixel):
    """Logs opens and clicks."""

    def record(self, request, *args, **kwargs):
        """Log what was loaded or followed."""
        logger.info("Campaign: %s", request.path.rpartition("/")[0])
