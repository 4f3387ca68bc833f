"""The middlewares.

MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",         # first: it stops all else
    ...
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tracking.middleware.VisitorTrackingMiddleware",
    "tracking.middleware.VisitorCleanUpMiddleware",   # or run tracking_cleanup by a timer
]
"""

from tracking.middleware.banning import BannedIPMiddleware
from tracking.middleware.cleanup import VisitorCleanUpMiddleware
from tracking.middleware.visitors import VisitorTrackingMiddleware

__all__ = ["BannedIPMiddleware", "VisitorCleanUpMiddleware", "VisitorTrackingMiddleware"]
