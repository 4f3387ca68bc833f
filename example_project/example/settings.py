"""A small shop that tracks its mail with django-beacons. For your own machine only."""

import os
from importlib.util import find_spec
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
PORT = os.environ.get("PORT", "8000")

SECRET_KEY = "the example site has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "tracking",
    "shop",
]

# The map of active visitors. It is the extra django-beacons[map].
if find_spec("js_lib_leaflet"):
    INSTALLED_APPS.append("js_lib_leaflet")

MIDDLEWARE = [
    # First: who is banned costs nothing more than this.
    "tracking.middleware.BannedIPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "shop.policy.StrictAdminMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # After sessions and users, of which it notes what a page has used.
    "tracking.middleware.VisitorTrackingMiddleware",
    # Last. A large site runs tracking_cleanup by a timer instead.
    "tracking.middleware.VisitorCleanUpMiddleware",
]

ROOT_URLCONF = "example.urls"
WSGI_APPLICATION = "example.wsgi.application"
ASGI_APPLICATION = "example.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("EXAMPLE_DATABASE", BASE_DIR / "db.sqlite3"),
        # Readers and one writer side by side; a writer waits for its turn, and does
        # not fail because it began as a reader.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"

# Mail is not sent but put into a folder, where the page "Outbox" finds it.
EMAIL_BACKEND = "shop.outbox.FolderBackend"
EMAIL_FILE_PATH = os.environ.get("EXAMPLE_OUTBOX", BASE_DIR / "outbox")
DEFAULT_FROM_EMAIL = "The Tea Shop <hello@tea-shop.example>"

# Mail has no request to take the host from.
TRACKING_BASE_URL = f"http://127.0.0.1:{PORT}"

# Pages of whoever keeps the shop, and the mail of its readers.
NO_TRACKING_PREFIXES = ["/live/", "/outbox/"]

# The demo builds this database, of networks that only documents use.
TRACKING_USE_GEOIP = True
GEOIP_PATH = os.environ.get("EXAMPLE_PLACES", str(BASE_DIR / "places.mmdb"))

# The visitors who are played come from this machine, and say in X-Forwarded-For which place
# they are from. So does a proxy on the same machine as the site. The consequence: whoever can
# connect from 127.0.0.1 can claim any address, and get around each ban. Trust your own proxies,
# and nothing that other people's requests come from directly.
TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"not_played": {"()": "shop.quiet.NotPlayed"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["not_played"]}},
    "loggers": {
        "shop": {"handlers": ["console"], "level": "INFO"},
        "tracking": {"handlers": ["console"], "level": "INFO"},
        "django.request": {"filters": ["not_played"]},
    },
}
