"""Settings of the tests.

Environment variables:

``TRACKING_TEST_DATABASE``
    ``sqlite`` (the default), ``postgresql`` or ``mariadb``.
``TRACKING_TEST_NAME``
    The name of the database without ``test_``, by default ``tracking``; with different
    names several runs can use one server at the same time.
``TRACKING_TEST_PARTITIONED``
    Partition the large tables by months. PostgreSQL only; leave out the tests that partition tables
    themselves: ``-k "not partition"``.
``TRACKING_TEST_MOMENT``
    The moment at which each test begins, in ISO 8601 with an offset.
"""

import os

_NAME = os.environ.get("TRACKING_TEST_NAME", "tracking")

SERVERS = {
    "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "postgresql": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "NAME": _NAME,
    },
    "mariadb": {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
        "USER": os.environ.get("MYSQL_USER", "root"),
        "PASSWORD": os.environ.get("MYSQL_PWD", ""),
        "NAME": _NAME,
        "OPTIONS": {"charset": "utf8mb4"},
    },
}

DATABASES = {"default": SERVERS[os.environ.get("TRACKING_TEST_DATABASE", "sqlite")]}

SECRET_KEY = "a secret that only the tests have"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "tracking",
    "tests.site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

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

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

#: What Django 6.1 asks for; earlier ones have EMAIL_BACKEND. Tests get their own in either case.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
