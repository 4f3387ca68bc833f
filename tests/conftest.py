import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone, translation
from hypothesis import HealthCheck, settings

from tests.support import browsers, services
from tracking import compat, log_limits
from tracking.caching import snapshots
from tracking.db import threads
from tracking.identity import recent_heads
from tracking.pixel_callbacks import Tracker, tracker
from tracking.signals import address_banned, beacon_recorded, beacons_recorded, visitor_seen

# Hypothesis tries fewer examples in ``make quick``.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", patient)
settings.register_profile("quick", patient, max_examples=10)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process of pytest-xdist run all tests that start servers: they need the machine."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group("slow"))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Partition the large tables by months, if ``TRACKING_TEST_PARTITIONED`` is set."""
    if os.environ.get("TRACKING_TEST_PARTITIONED"):
        from tests.support import partitioned  # apps are not ready when this is read

        with django_db_blocker.unblock():
            partitioned.convert_all()


@pytest.fixture(autouse=True)
def moment(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a test at the moment of its marker, or else of ``TRACKING_TEST_MOMENT``, if it is set.

    The clock ticks on from there. Other processes keep the real time.
    """
    marker = request.node.get_closest_marker("moment")
    text = marker.args[0] if marker else os.environ.get("TRACKING_TEST_MOMENT")
    if text is None:
        yield
        return
    if not marker and request.node.get_closest_marker("real_clock"):
        pytest.skip("compares its clock with that of another process or of the database")
    with time_machine.travel(datetime.fromisoformat(text)):
        yield


@pytest.fixture
def still_clock(moment: None) -> Iterator[None]:
    """Stop the clock at the moment of the test."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser, one for all tests of a file."""
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def celery() -> Any:
    """The module celery; without it the test is skipped."""
    try:
        import celery
    except ImportError:
        services.missing("Celery")
    return celery


@pytest.fixture
def restore_receivers() -> Iterator[None]:
    """Disconnect after a test the receivers of signals that it has connected."""
    signals = (address_banned, beacon_recorded, beacons_recorded, visitor_seen)
    before = [list(signal.receivers) for signal in signals]
    yield
    for signal, receivers in zip(signals, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


@pytest.fixture(autouse=True)
def reset_language() -> Iterator[None]:
    """Deactivate after each test the language that a request has activated."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def reset_log_limits() -> None:
    """Let each test log lines that earlier tests have repeated."""
    log_limits.reset()


@pytest.fixture(autouse=True)
def forget_heads() -> None:
    """Let no HEAD of an earlier test mark the clicks of a test."""
    recent_heads._asked.clear()


@pytest.fixture(autouse=True)
def reset_snapshots() -> Iterator[None]:
    """Empty the snapshots (bans, untracked agents, salt) before and after each test."""
    snapshots.reset_all()
    yield
    snapshots.reset_all()


@pytest.fixture
def outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the app do what it does not do in the tests of a site, such as polling by time."""
    from tracking.active_visitors import online_count, places  # apps are not ready
    from tracking.backends import handler

    caches = [online_count._cached_count, places.count_by_place]
    for cache in caches:
        cache.clear()
    monkeypatch.setattr(compat, "is_test_environment", lambda: False)
    monkeypatch.setattr(snapshots._process, "serves_requests", False)
    monkeypatch.setattr(handler, "_is_serving", False)
    monkeypatch.setattr(handler, "_instance", None)
    yield
    if handler._instance is not None:
        handler._instance.close()
    for cache in caches:
        cache.clear()
    snapshots._process.refresher.stop()
    snapshots._process.refresher.reset()


@pytest.fixture
def without_threads(outside_of_tests: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app do in requests what threads do, as in uWSGI without ``enable-threads``."""
    monkeypatch.setattr(threads, "are_running", lambda: False)


@pytest.fixture
def staff(client: Client, django_user_model: Any) -> Callable[..., Client]:
    """Log a client in as staff with only the permissions named: ``staff("view_beacon")``."""
    from django.contrib.auth.models import Permission  # apps are not ready when this is read

    user = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(user)

    def allow(*codenames: str) -> Client:
        user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
        return client

    return allow


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """The registry of callbacks, empty during a test."""
    monkeypatch.setattr(tracker, "_callbacks", {})
    return tracker


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Django's clock, set by hand: ``calendar[0]`` is now."""
    today = [datetime(2026, 11, 21, 12, tzinfo=UTC)]
    monkeypatch.setattr(timezone, "now", lambda: today[0])
    return today
