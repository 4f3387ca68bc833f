"""System checks of the settings of visitors: consent, cookies, proxies and numbers."""

import pytest
from django.core.checks import run_checks

pytestmark = pytest.mark.django_db  # some of the checks that Django brings look at it


def ids(**kwargs):
    return {message.id for message in run_checks(**kwargs) if "tracking" in str(message.id)}


SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"

UPDATE_CACHE = "django.middleware.cache.UpdateCacheMiddleware"

FROM_CACHE = "django.middleware.cache.FetchFromCacheMiddleware"

BAN, TRACKING, CLEAN_UP = (
    f"tracking.middleware.{name}"
    for name in ("BannedIPMiddleware", "VisitorTrackingMiddleware", "VisitorCleanUpMiddleware")
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRACKING_CONSENT", "no.such.module", "tracking.E011"),
        ("TRACKING_CONSENT", "tests.checks.test_settings_of_visitors.SESSIONS", "tracking.E011"),
        ("TRACKING_EXCLUDE", ["admin", "robots"], "tracking.E012"),
        ("TRACKING_EXCLUDE", "admin", "tracking.E012"),
        ("TRACKING_EXCLUDE", None, "tracking.E012"),
        ("NO_TRACKING_PREFIXES", "/family/", "tracking.E013"),
        ("NO_TRACKING_PREFIXES", [""], "tracking.E013"),
        ("NO_TRACKING_PREFIXES", ["family"], "tracking.E013"),
        ("NO_TRACKING_PREFIXES", None, "tracking.E013"),
        ("TRACKING_TIMEOUT", 0, "tracking.E014"),
        ("TRACKING_TIMEOUT", "10", "tracking.E014"),
        ("TRACKING_COOKIE_AGE", -1, "tracking.E014"),
        ("TRACKING_CLEANUP_TIMEOUT", "24", "tracking.E014"),
        ("TRACKING_VISIT_RETENTION", -1, "tracking.E014"),
        ("TRACKING_DAILY_COUNT_RETENTION", 0, "tracking.E014"),
        ("TRACKING_DAILY_COUNT_RETENTION", "two years", "tracking.E014"),
        ("TRACKING_COOKIE_NAME", "sessionid", "tracking.E015"),
        ("TRACKING_COOKIE_NAME", "a b", "tracking.E015"),
        ("TRACKING_COOKIE_NAME", "", "tracking.E015"),
        ("TRACKING_NEW_VISITORS_PER_NETWORK", 0, "tracking.E022"),
        ("TRACKING_NEW_VISITORS_PER_NETWORK", "30", "tracking.E022"),
        ("TRACKING_NEW_VISITORS_PER_NETWORK", True, "tracking.E022"),
        ("TRACKING_BAN_STATUS", 200, "tracking.E016"),
        ("TRACKING_BAN_STATUS", "403", "tracking.E016"),
        ("TRACKING_BAN_TEMPLATE", "missing.html", "tracking.W007"),
        ("DEFAULT_TRACKING_TEMPLATE", "missing.html", "tracking.W014"),
        ("TRACKING_MAP_TILES", "https://tiles.example/", "tracking.E020"),
        ("TRACKING_MAP_TILES", "javascript:{z}{x}{y}", "tracking.E020"),
        ("TRACKING_USE_GEOIP", True, "tracking.W008"),
        ("MIDDLEWARE", [SESSIONS, BAN], "tracking.W009"),
        ("MIDDLEWARE", [FROM_CACHE, TRACKING], "tracking.W010"),
        ("MIDDLEWARE", [UPDATE_CACHE, TRACKING, FROM_CACHE], "tracking.W010"),
        (
            "TRACKING_CONSENT",
            "tests.support.consent.asynchronous",
            "tracking.E011",
        ),
    ],
)
def test_what_is_wrong_about_visitors_has_a_number(settings, name, value, expected):
    setattr(settings, name, value)
    assert ids() == {expected}


def test_a_site_behind_a_proxy_is_asked_which_proxies_to_trust(settings):
    settings.MIDDLEWARE = [BAN]
    settings.USE_X_FORWARDED_HOST = True
    assert ids() == {"tracking.W011"}
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert ids() == set()


def test_a_spool_among_temporary_files_fails_a_deployment_check(settings):
    settings.TRACKING_BACKEND = "tracking.backends.buffered.BufferedBackend"
    assert "tracking.W012" in ids(include_deployment_checks=True)
    settings.TRACKING_SPOOL = "/var/spool/site"
    assert "tracking.W012" not in ids(include_deployment_checks=True)
    settings.TRACKING_SPOOL = "spool"
    assert "tracking.E017" in ids()
