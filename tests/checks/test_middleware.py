"""System checks of the order of middleware."""

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


def test_each_middleware_that_stands_before_the_bans_is_named(settings):
    """In one message: one mistake, and one to silence."""
    settings.MIDDLEWARE = [SESSIONS, TRACKING, BAN]
    [told] = [m.msg for m in run_checks() if m.id == "tracking.W009"]
    assert SESSIONS in told
    assert TRACKING in told


@pytest.mark.parametrize(
    "order",
    [
        [BAN, SESSIONS, TRACKING, CLEAN_UP],
        ["django.middleware.security.SecurityMiddleware", BAN, SESSIONS, TRACKING],
        [TRACKING, UPDATE_CACHE, FROM_CACHE],
        [],
    ],
)
def test_a_good_order_is_fine(settings, order):
    settings.MIDDLEWARE = order
    assert ids() == set()
