"""The middlewares.

MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",         # first: it saves all other work
    ...
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tracking.middleware.VisitorTrackingMiddleware",
    "tracking.middleware.VisitorCleanUpMiddleware",   # or run tracking_cleanup by a timer
]
"""

from tracking.middleware.banned_ip import BannedIPMiddleware
from tracking.middleware.visitor_cleanup import VisitorCleanUpMiddleware
from tracking.middleware.visitor_tracking import VisitorTrackingMiddleware

__all__ = ["BannedIPMiddleware", "VisitorCleanUpMiddleware", "VisitorTrackingMiddleware"]
