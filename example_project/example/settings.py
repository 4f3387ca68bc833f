"""Settings of a small shop that tracks its mail with django-beacons. Not for production."""

import os
from importlib.util import find_spec
from pathlib import Path

import django

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

# For the map of active visitors: pip install django-beacons[map].
if find_spec("js_lib_leaflet"):
    INSTALLED_APPS.append("js_lib_leaflet")

MIDDLEWARE = [
    # First, so that banned clients cost nothing else.
    "tracking.middleware.BannedIPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "shop.csp.StrictAdminMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # After sessions and users: it records what a page has used of them.
    "tracking.middleware.VisitorTrackingMiddleware",
    # Last. Large sites run tracking_cleanup with cron instead.
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
        # WAL allows readers beside one writer. IMMEDIATE makes a writer wait for its turn
        # instead of failing when a read transaction starts to write.
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

# Each message is tracked, and sent by SMTP to a server of the shop's own, which puts it into a
# folder. The page "Outbox" shows it.
if django.VERSION >= (6, 1):
    MAILERS = {
        "default": {
            "BACKEND": "tracking.mail.TrackingEmailBackend",
            "OPTIONS": {"mailer": "smtp"},
        },
        "smtp": {"BACKEND": "shop.outbox.OwnServerBackend", "OPTIONS": {"host": "127.0.0.1"}},
    }
else:
    EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
    TRACKING_MAIL_BACKEND = "shop.outbox.OwnServerBackend"
OUTBOX = os.environ.get("EXAMPLE_OUTBOX", BASE_DIR / "outbox")
DEFAULT_FROM_EMAIL = "The Tea Shop <hello@tea-shop.example>"

# Mail has no request from which to take the host.
TRACKING_BASE_URL = f"http://127.0.0.1:{PORT}"
TRACKING_MAIL_CONSENT = "unless-denied"

# What the mailings are for.
TRACKING_GOALS = {"Purchase": "purchase"}
TRACKING_CURRENCY = "€"

# Pages for the shop owner, and the outbox.
NO_TRACKING_PREFIXES = ["/live/", "/outbox/"]

# The demo builds this database. It contains networks reserved for documentation.
TRACKING_USE_GEOIP = True
GEOIP_PATH = os.environ.get("EXAMPLE_PLACES", str(BASE_DIR / "places.mmdb"))

# Simulated visitors connect from this machine and name their address in X-Forwarded-For, like a
# proxy on the same machine. As a consequence, every client that connects from 127.0.0.1 can
# claim any address and evade bans. Trust only your own proxies, and no address from which other
# people can connect directly.
TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"not_simulated": {"()": "shop.log_filter.NotSimulated"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["not_simulated"]}},
    "loggers": {
        "shop": {"handlers": ["console"], "level": "INFO"},
        "tracking": {"handlers": ["console"], "level": "INFO"},
        "django.request": {"filters": ["not_simulated"]},
    },
}
