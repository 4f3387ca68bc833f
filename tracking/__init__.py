"""Open pixels and redirect links for mail and pages, in the site's own database.

A site adds ``"tracking"`` to ``INSTALLED_APPS``, includes ``tracking.urls``, and
writes ``{% tracking_pixel %}`` and ``{% tracking_link %}`` into its templates.
Code that wants to know of each pixel and link registers a callback in a module
``pixels.py`` of any installed app::

    from tracking import TrackingPixel, tracker

    class CampaignPixel(TrackingPixel):
        def record(self, request, *args, **kwargs):
            ...

    tracker.register(CampaignPixel)
"""

from tracking.pixel_callbacks import TrackingPixel, tracker

__all__ = ["TrackingPixel", "tracker"]
