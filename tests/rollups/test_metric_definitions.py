"""The same words are the same number in every report, list, file and command, on every day.

Small random worlds, counted by loops that are written from the words alone.
"""

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from tests.support import worlds
from tracking.hits import Reference
from tracking.models import SharedValue
from tracking.recording import write
from tracking.reports import (
    Filters,
    Group,
    Period,
    State,
    campaign,
    campaign_table,
    lines,
    overview,
    overview_table,
    recipients,
)
from tracking.reports.counts_per_object import ObjectCounts, counts_per_object
from tracking.reports.plain_text import campaign_text, overview_text
from tracking.rollups import build, metric_definitions
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

FIGURES = {
    "visitors": "visitors",
    "visits": "visits",
    "page_views": "page views",
    "opens": "opens",
    "daily_unique_opens": "daily unique opens",
    "confirmed": "confirmed",
    "proxied": "proxied",
    "without_image": "clicked without image",
    "machine": "machine only",
    "clicks": "clicks",
    "daily_unique_clicks": "daily unique clicks",
}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_the_same_words_are_the_same_number_live_counted_late_and_counted_again(seed):
    with override_settings(TIME_ZONE=worlds.zone_of(seed)):
        world = worlds.world(seed)
        late = world.hits[1::4]
        write([hit for hit in world.hits if hit not in late])
        loops = Loops(world)
        compare(world, loops)
        roll_up(now=datetime(world.last.year, world.last.month, world.last.day, tzinfo=UTC))
        compare(world, loops)
        roll_up()
        compare(world, loops)
        write(late)
        loops = Loops(world)
        compare(world, loops)
        roll_up()
        compare(world, loops)
        assert loops.sites["daily unique opens"] > loops.sites["confirmed"] > 5
        for part in ("confirmed", "proxied", "clicked without image", "machine only"):
            assert sum(loops.of["source", source][part] for source in world.mailings) > 0, part


class Loops:
    """All figures of a world, counted by loops."""

    def __init__(self, world):
        # A day more than there is, on either side.
        self.first, self.last = world.first - timedelta(days=1), world.last + timedelta(days=1)
        self.sites = worlds.of_days(self.first, self.last, world.zone)
        self.of = {
            (role, one): worlds.of_object(role, one, world.zone)
            for role, some in objects(world)
            for one in some
        }
        self.filtered = {
            one: worlds.of_days(self.first, self.last, world.zone, worlds.is_of(one))
            for one in world.mailings
        }


def objects(world):
    for model in {type(one) for one in world.mailings}:
        yield "source", [one for one in world.mailings if type(one) is model]
    yield "target", world.products
    yield "entity", world.readers


def compare(world, loops):
    compare_overview(loops)
    for source in world.mailings:
        compare_campaign(source, loops.of["source", source])
        compare_recipients(source, loops.of["source", source])
        compare_filtered(source, loops)
    for role, some in objects(world):
        found = counts_per_object(role, some)
        for one in some:
            loop = loops.of[role, one]
            assert found[str(one.pk)] == ObjectCounts(
                **{name: loop[name] for name in ("opens", "opened", "clicks", "clicked")}
            ), (role, one)


def compare_overview(loops):
    period = Period.custom(loops.first, loops.last)
    report = overview(period)
    expected = {name: loops.sites[word] for name, word in FIGURES.items()}
    assert {name: report.figures[name].value for name in FIGURES} == expected
    assert {n: sum(p.value for p in report.series[n].points) for n in FIGURES} == expected
    links = report.lists["links"].rows
    assert {row.value: row.figure for row in links} == loops.sites["links"]
    assert {r.value: r.numbers["daily_unique_clicks"] for r in links} == loops.sites["daily links"]
    # In a file and in a terminal.
    head, *rows = read(overview_table("series", period))
    for name, number in expected.items():
        column = head.index(str(metric_definitions.TERMS[name].title))
        assert sum(int(row[column]) for row in rows) == number, name
    said = told(overview_text(report))
    assert {name: said[str(metric_definitions.TERMS[name].title)] for name in FIGURES} == expected


def compare_filtered(source, loops):
    reference = Reference.to(source)
    filters = Filters(mailing=f"{reference.label}:{reference.pk}")
    figures = overview(Period.custom(loops.first, loops.last), filters).figures
    for name in [name for name in FIGURES if figures[name].value is not None]:
        assert figures[name].value == loops.filtered[source][FIGURES[name]], name


def compare_campaign(source, loop):
    report = campaign(source)
    opened, clicked = report.opened, report.clicked
    assert {
        "sent": report.sent,
        "delivered": report.delivered,
        "bounced": report.bounced,
        "opened": opened.unique,
        "confirmed": opened.confirmed,
        "proxied": opened.proxied,
        "clicked without image": opened.without_image,
        "machine only": opened.machine,
        "clicked": clicked.unique,
        "clicked by machines only": clicked.machine,
        "goal": report.goal.unique if report.goal else 0,
        "opens": opened.total,
        "clicks": clicked.total,
        "goals": report.goal.total if report.goal else 0,
        "links": {row.value: (row.figure, row.numbers["clicked"]) for row in report.links.rows},
    } == {name: number for name, number in loop.items() if name not in {"states", "groups"}}
    assert report.as_dict()["opened"]["unique"] == loop["opened"]
    assert sum(point.value or 0 for point in report.days.opens) == loop["opens"]
    assert sum(point.value or 0 for point in report.days.clicks) == loop["clicks"]
    # In a file and in a terminal.
    _head, *rows = read(campaign_table("links", source))
    assert {row[0]: (int(row[2]), int(row[3])) for row in rows} == loop["links"]
    said = told(campaign_text(report))
    words = ("opened", "confirmed", "proxied", "without_image", "machine", "clicked", "opens")
    numbers = {name: said[str(metric_definitions.TERMS[name].title)] for name in words}
    assert numbers == {
        name: loop[
            {"without_image": "clicked without image", "machine": "machine only"}.get(name, name)
        ]
        for name in words
    }


def compare_recipients(source, loop):
    expected = {**loop["states"], **loop["groups"]}
    totals = {one.value: recipients(source, state=one).total for one in (*State, *Group)}
    assert {name: total for name, total in totals.items() if total} == expected
    found = recipients(source)
    assert found.total == sum(loop["states"].values())
    assert found.numbers == {"all": found.total, **totals}
    assert Counter(row.state.value for row in found.rows) == loop["states"]
    _head, *rows = read(campaign_table("recipients", source))
    labels = {str(state.label): state.value for state in State}
    assert Counter(labels[row[2]] for row in rows) == loop["states"]


def read(table):
    return list(csv.reader(io.StringIO("".join(lines(table)).removeprefix("\ufeff"))))


def told(text):
    """Return the whole numbers of the lines of a text, by the words before them."""
    found = {}
    for line in text.splitlines():
        words, _space, rest = line.strip().partition("  ")
        number = rest.split()[0] if rest else ""
        if number.isdecimal():
            found.setdefault(words.strip(), int(number))
    return found


def test_one_recipient_of_two_mailings_is_unique_in_each():
    world = worlds.world(0, number=1)
    first, second, _third = world.mailings
    reader = Reference.to(world.readers[0])
    write([worlds.opened(source, reader, days) for source in (first, second) for days in (0, 1, 1)])
    for source in (first, second):
        assert campaign(source).opened.unique == 1
        assert counts_per_object("source", [source])[str(source.pk)] == ObjectCounts(3, 1, 0, 0)
    days = [worlds.PLACES[0][1] + timedelta(days=number) for number in (0, 1)]
    assert overview(Period.custom(*days)).figures["daily_unique_opens"].value == 2


def test_an_entity_is_not_the_anonymous_visitor_of_the_same_browser():
    world = worlds.world(0, number=1)
    source, reader = world.mailings[0], Reference.to(world.readers[0])
    write([worlds.opened(source, None, 0, visitor="anna")])
    roll_up()
    write([worlds.opened(source, reader, 0, visitor="anna")])
    for _ in range(2):
        assert campaign(source).opened.unique == 2
        assert counts_per_object("source", [source])[str(source.pk)].opened == 2
        roll_up()


@pytest.mark.long
def test_days_counted_by_other_definitions_are_read_from_their_rows_and_counted_again(
    monkeypatch, caplog
):
    with override_settings(TIME_ZONE=worlds.zone_of(0)):
        world = worlds.world(0)
        write(world.hits)
        monkeypatch.setattr(metric_definitions, "VERSION", "1")
        monkeypatch.setattr(build, "FACETS_OF", {table: [] for table in build.FACETS_OF})
        roll_up()
        monkeypatch.undo()
        loops = Loops(world)
        compare(world, loops)
        assert not caplog.records
        assert roll_up().days > 5
        assert "counted again" in caplog.text
        compare(world, loops)
        assert roll_up().days == 0
        assert SharedValue.objects.get(name="rollup").value == metric_definitions.VERSION
