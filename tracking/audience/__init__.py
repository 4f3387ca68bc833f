"""Rows of the site, chosen by what their recipients did: ``tracking.engagement()``."""

from tracking.audience.engagement import Engagement

__all__ = ["Engagement"]
