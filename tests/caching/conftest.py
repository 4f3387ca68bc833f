"""A small table, and a snapshot of it."""

import pytest

from tests.support import clocks
from tracking.caching import snapshots


@pytest.fixture
def table():
    """What a snapshot has a copy of."""
    return ["first"]


@pytest.fixture
def words(table, monkeypatch):
    """The only snapshot of this process."""
    monkeypatch.setattr(snapshots._process.poller, "refreshables", [])
    return snapshots.Snapshot("words", lambda using: tuple(table), ())


@pytest.fixture
def clock(monkeypatch):
    return clocks.of_snapshots(monkeypatch)
