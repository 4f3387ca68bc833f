"""Goals of the report of a mailing equal what a loop over its rows counts."""

import csv
import io
import json
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from msgspec.structs import replace

from tests.support import brute_force
from tests.support.brute_force import AGENTS, NOW
from tracking.hits import Hit, Kind
from tracking.models import Beacon, DailyCount
from tracking.recording import write
from tracking.reports import campaign
from tracking.reports.csv_tables import campaign_table, lines
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db

GOALS = {"Purchase": "purchase", "Signed up": "/welcome/", "Nobody": "never"}
NAMES = ["purchase", "Purchase", "pürchase", "search", "/welcome/", ""]
VALUES = [None, "0.01", "49.90", "-5.00", "9999999999.99", "0.00"]


def traffic(seed, **tied):
    """Return traffic with events that have names and values."""
    chance = random.Random(seed)
    first, last = date(2026, 3, 27), date(2026, 4, 1)
    for hit in brute_force.traffic(first, last, number=250, seed=seed, **tied):
        if isinstance(hit, Hit) and hit.kind == Kind.EVENT:
            name, value = chance.choice(NAMES), chance.choice(VALUES)
            amount = None if value is None or not name else Decimal(value)
            source = hit.source or tied["sources"][0]  # nothing is credited here
            yield replace(hit, event_name=name, event_value=amount, source=source)
        else:
            yield hit


def by_a_loop(source, zone):
    """Return recipients, number and value by name of the event."""
    content_type = brute_force.content_type_of(source.label)
    who, number, value = defaultdict(set), defaultdict(int), {}
    for row in Beacon.objects.filter(kind="event", verdict="human"):
        if (row.source_type_id, row.source_id) != (content_type.pk, source.pk):
            continue
        for name in {row.event_name or "", None}:
            who[name].add(brute_force.ever(row, zone))
            number[name] += 1
            if row.event_value is not None:
                value[name] = value.get(name, 0) + row.event_value
    return {name: (len(who[name]), number[name], value.get(name)) for name in number}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("seed", range(3))
def test_every_goal_is_that_of_a_loop(seed, zone):
    with override_settings(TIME_ZONE=zone, TRACKING_GOALS=GOALS):
        tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(6)}
        write(traffic(seed, zone=zone, **tied))
        for is_counted in (False, True):
            if is_counted:
                roll_up(now=NOW)
                assert DailyCount.objects.filter(facet="event_values").exists()
            for source in tied["sources"]:
                expected = by_a_loop(source, zone)
                report = campaign(source, NOW)
                assert [(one.title, one.name) for one in report.goals] == list(GOALS.items())
                for goal in report.goals:
                    assert (goal.unique, goal.total, goal.value) == expected.get(
                        goal.name, (0, 0, None)
                    )
                assert (report.goal.unique, report.goal.total, report.goal.value) == expected[None]
        Beacon.objects.all().delete()  # what was counted outlives the rows
        assert campaign(tied["sources"][0], NOW).goals[0].total > 0


@pytest.fixture
def mailing(settings):
    """A mailing that three people clicked, two of whom bought something."""
    settings.TRACKING_GOALS = GOALS
    settings.TRACKING_CURRENCY = "€"
    (source,) = brute_force.mailings(1)
    people = brute_force.readers(4)
    start = datetime(2026, 3, 20, 12, tzinfo=UTC)

    def hit(kind, minutes, entity, **values):
        time = start + timedelta(minutes=minutes)
        values = {"user_agent": AGENTS[0], "source": source, **values}
        return Hit(kind=kind, time=time, entity=entity, **values)

    write([hit(Kind.SENT, 0, one) for one in people])
    write([hit(Kind.CLICK, 5 + n, one, visitor=f"v{n}") for n, one in enumerate(people[:3])])
    amounts = [(0, "49.90"), (0, "1200.00"), (1, "0.10")]
    write(
        [
            hit(
                Kind.EVENT,
                60 + n,
                None,
                source=None,
                visitor=f"v{of}",
                event_name="purchase",
                event_value=Decimal(amount),
            )
            for n, (of, amount) in enumerate(amounts)
        ]
    )
    return source


def test_the_funnel_ends_with_goals_and_their_value(mailing):
    report = campaign(mailing, NOW)
    purchase, sign_up, _never = report.goals
    assert (purchase.unique, purchase.total, purchase.value) == (2, 3, Decimal("1250.00"))
    assert (sign_up.unique, sign_up.total, sign_up.value) == (0, 0, None)
    assert (report.sent, report.clicked.unique) == (4, 3)
    goals = json.loads(json.dumps(report.as_dict()))["goals"]
    assert goals[0] == {
        "title": "Purchase", "name": "purchase", "unique": 2, "total": 3, "value": "1250.00"
    }  # fmt: skip


def test_goals_are_a_file(mailing):
    text = "".join(lines(campaign_table("goals", mailing))).removeprefix("\ufeff")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[1] == ["Purchase", "purchase", "2", "3", "1250.00"]
    assert rows[2] == ["Signed up", "/welcome/", "0", "0", ""]


def test_a_negative_value_in_a_file_is_a_number(mailing):
    Beacon.objects.events().update(event_value=-3)
    text = "".join(lines(campaign_table("goals", mailing)))
    assert ",-9.00\r\n" in text


def test_goals_are_printed(mailing, capsys):
    call_command("tracking_report", source=f"{mailing.label}:{mailing.pk}")
    printed = capsys.readouterr().out
    [line] = [line.split() for line in printed.splitlines() if "Purchase" in line]
    assert line == ["Purchase", "2", "1,250.00", "€"]


def test_without_goals_all_events_are_one(mailing, settings, capsys):
    settings.TRACKING_GOALS = {}
    report = campaign(mailing, NOW)
    assert report.goals == ()
    assert (report.goal.unique, report.goal.total, report.goal.value) == (2, 3, Decimal(1250))


def test_names_that_are_not_among_the_largest_are_one(mailing, settings):
    settings.TRACKING_COUNTS_PER_FACET = 1
    time = datetime(2026, 3, 21, 12, tzinfo=UTC)
    write(
        [
            Hit(
                kind=Kind.EVENT,
                time=time,
                source=mailing,
                visitor="v0",
                event_name=name,
                event_value=Decimal(2),
            )
            for name in ("purchase", "purchase", "purchase", "tea", "cups")
        ]
    )
    roll_up(now=NOW)
    counted = DailyCount.objects.filter(facet="events", day=date(2026, 3, 21))
    assert sorted(counted.values_list("value", "is_other", "total", "uniques")) == [
        ("", True, 2, 1), ("purchase", False, 3, 1)
    ]  # fmt: skip
    values = DailyCount.objects.filter(facet="event_values", day=date(2026, 3, 21))
    assert sorted(values.values_list("value", "total")) == [("", 400), ("purchase", 600)]


def test_a_mailing_without_events_takes_no_query_more(mailing, settings):
    Beacon.objects.events().delete()
    with CaptureQueriesContext(connection) as queries:
        campaign(mailing, NOW)
    assert not [query["sql"] for query in queries if "event_name" in query["sql"]]
