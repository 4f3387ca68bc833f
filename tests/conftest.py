import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tracking import snapshots
from tracking.registry import Tracker, tracker
from tracking.signals import address_banned, beacon_recorded, visitor_seen

# Random tests explore more where nobody waits for them.
settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci", deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def listeners() -> Iterator[None]:
    """Forget after a test who has begun to listen to the signals in it."""
    signals = (address_banned, beacon_recorded, visitor_seen)
    before = [list(signal.receivers) for signal in signals]
    yield
    for signal, receivers in zip(signals, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Forget after each test what it has banned, and read from the database."""
    yield
    snapshots.forget()


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """The registry of callbacks, empty for the length of a test."""
    monkeypatch.setattr(tracker, "_callbacks", {})
    return tracker
