"""Visits and counts from before the column name the sites that led to them."""

from datetime import date
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from tracking.models import DailyCount, Visit
from tracking.models.daily_counts import thing_key

migration = import_module("tracking.migrations.0004_visit_channel")
EDITOR = SimpleNamespace(connection=connection)

pytestmark = pytest.mark.django_db


def test_visits_name_their_sites(monkeypatch):
    monkeypatch.setattr(migration, "CHUNK_SIZE", 2)
    referrers = {
        "": ("", "direct"),
        "https://www.google.com/": ("Google", "search"),
        "https://google.de/": ("Google", "search"),
        "https://blog.example/": ("blog.example", "referral"),
    }
    now = timezone.now()
    for referrer in referrers:
        Visit.objects.create(started_at=now, ended_at=now, referrer=referrer)
    migration.name_sites(apps, EDITOR)
    rows = Visit.objects.values_list("referrer", "referrer_site", "channel")
    assert {referrer: rest for referrer, *rest in rows} == {
        referrer: list(found) for referrer, found in referrers.items()
    }


def test_counts_by_host_become_counts_by_site():
    days = (date(2026, 4, 1), date(2026, 4, 2))
    counts = [("google.com", 2), ("google.de", 3), ("blog.example", 4), ("", 5)]
    for day in days:
        for value, total in counts:
            DailyCount.objects.create(
                day=day,
                key=thing_key("", "referrers", value),
                facet="referrers",
                value=value,
                total=total,
                uniques=1,
            )
    for _ in range(2):
        migration.name_sites_in_counts(apps, EDITOR)
        for day in days:
            rows = DailyCount.objects.filter(day=day)
            assert {row.value: (row.total, row.uniques) for row in rows} == {
                "Google": (5, 2),
                "blog.example": (4, 1),
                "": (5, 1),
            }
            assert all(row.key == thing_key("", "referrers", row.value) for row in rows)
