"""Rows of our own statements have the values that Django's have."""

import uuid
from datetime import UTC, date, datetime

import pytest

from tracking.db.selects import select
from tracking.models import CountedDay, SharedValue

pytestmark = pytest.mark.django_db


def test_values_are_those_of_the_fields():
    CountedDay.objects.create(day=date(2026, 3, 29), zone="UTC", version=uuid.uuid4())
    time = datetime(2026, 3, 29, 1, 2, 3, 456789, tzinfo=UTC)
    SharedValue.objects.create(name="one", value="1", changed_at=time)
    day, version = (CountedDay._meta.get_field(name) for name in ("day", "version"))
    changed_at = SharedValue._meta.get_field("changed_at")
    found = select(
        "SELECT day, version, (SELECT changed_at FROM tracking_agreed WHERE name = 'one'), "
        "MAX(zone), NULL "
        "FROM tracking_countedday WHERE zone = %s GROUP BY day, version",
        ["UTC"],
        [day, version, changed_at, None, day],
        "default",
    )
    counted = CountedDay.objects.get()
    assert found == [[counted.day, counted.version, time, "UTC", None]]


def test_without_a_row_there_is_none():
    day = CountedDay._meta.get_field("day")
    assert select("SELECT day FROM tracking_countedday", [], [day], "default") == []
