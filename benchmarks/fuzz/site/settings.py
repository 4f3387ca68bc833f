"""Settings of the site, besides database, spool, backend and proxy header."""

from typing import Any

from tests.settings import INSTALLED_APPS as _APPS
from tests.settings import MIDDLEWARE as _MIDDLEWARE

INSTALLED_APPS = [name for name in _APPS if name != "tests.site"]  # its callbacks store arguments
MIDDLEWARE = [
    "tracking.middleware.BannedIPMiddleware",
    *_MIDDLEWARE,
    "tracking.middleware.VisitorTrackingMiddleware",
    "tracking.middleware.VisitorCleanUpMiddleware",
]
ROOT_URLCONF = "benchmarks.fuzz.site.urls"

#: Any host, so that wrong ones reach the app.
ALLOWED_HOSTS = ["*", "shop.example"]

TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
TRACKING_CONSENT = "benchmarks.fuzz.site.urls.may_track"

#: Messages of every level are formatted and encoded; warnings are shown.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"named": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "shown": {"class": "logging.StreamHandler", "level": "WARNING", "formatter": "named"},
        "encoded": {"class": "logging.FileHandler", "filename": "/dev/null", "encoding": "utf-8"},
    },
    "loggers": {
        "tracking": {"handlers": ["shown", "encoded"], "level": "DEBUG"},
        # Django logs each 404, and a traceback for each wrong host.
        "django.request": {"handlers": ["shown"], "level": "ERROR"},
        "django.security": {"level": "CRITICAL", "propagate": False},
    },
}
