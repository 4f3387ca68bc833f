"""Counts by facet are those of a plain loop over the texts of the rows."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import brute_force
from tests.support.texts import LONG, TEXTS, similar_texts
from tracking.hits import Kind
from tracking.models import Beacon, CountedDay, DailyCount, PageView, Source, Visit
from tracking.reports import campaign
from tracking.reports.filters import Filters
from tracking.reports.periods import Period
from tracking.reports.recipients import recipients
from tracking.reports.top_lists import listing
from tracking.rollups.build import roll_up

#: A moment at which all days of these tests are over, and a time on one of them.
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)
TIME = datetime(2026, 4, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)

#: Lists of the overview and the column of visits, pages or clicks that each counts.
COLUMNS = {
    "sources": "source",
    "mediums": "medium",
    "campaigns": "campaign",
    "browsers": "browser",
    "systems": "os",
    "pages": "url",
    "links": "url",
}

PERIOD = Period.custom(date(2026, 4, 1), date(2026, 4, 1), LATER)


def save(texts):
    """Save a visit with each text in all its columns, its page, and a click."""
    for model in (PageView, Visit, Beacon, DailyCount, CountedDay):
        model.objects.all().delete()
    for number, text in enumerate(texts):
        short = text[:50]
        names = dict.fromkeys(("source", "medium", "campaign", "browser", "os"), short)
        visit = Visit.objects.create(
            visitor_id=f"v{number}", started_at=TIME, ended_at=TIME, page_views=1, **names
        )
        PageView.objects.create(visit=visit, time=TIME, url=text)
        Beacon.objects.create(kind=Kind.CLICK, time=TIME, url=text, visitor_id=f"v{number}")


def counted(name):
    return {row.value: row.figure for row in listing(name, PERIOD, limit=None).rows}


def check(texts):
    save(texts)
    short = Counter(text[:50] for text in texts)
    expected = {
        name: dict(Counter(texts) if column == "url" else short) for name, column in COLUMNS.items()
    }
    assert {name: counted(name) for name in COLUMNS} == expected
    roll_up(now=LATER)
    assert {name: counted(name) for name in COLUMNS} == expected


def test_texts_that_differ_are_counted_apart():
    check([*TEXTS, *LONG, "tea ", *TEXTS[:3]])


@given(st.lists(similar_texts, max_size=12))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_similar_texts_are_counted_apart(texts):
    check(texts)


def test_long_texts_are_counted_apart_however_the_database_groups_them():
    """MariaDB sorts many rows to group them, by the first 1,024 bytes of a text only."""
    many = 1_000
    (source,) = brute_force.mailings(1)
    type_id = brute_force.content_type_of(source.label).pk
    beginning = "https://shop.example/" + "x" * 1_100
    Beacon.objects.bulk_create(
        Beacon(
            kind=Kind.CLICK,
            time=TIME + timedelta(seconds=number % 60),
            url=f"{beginning}{number}",
            visitor_id=f"v{number}",
            source_type_id=type_id,
            source_id=source.pk,
        )
        for number in range(many)
    )
    for _ in range(2):
        assert listing("links", PERIOD).total == many
        links = campaign(source, LATER).links
        assert {row.figure for row in links.rows} == {1}
        assert {row.numbers["clicked"] for row in links.rows} == {1}
        assert links.total == many
        roll_up(now=LATER)


@pytest.mark.parametrize("is_counted", [False, True])
def test_recipients_of_similar_names_are_listed_apart(is_counted):
    source = brute_force.mailings(1)[0]
    product = brute_force.content_type_of("site.product").pk
    for text in TEXTS[:6]:
        Beacon.objects.create(
            kind=Kind.OPEN,
            time=TIME,
            source_type=brute_force.content_type_of(source.label),
            source_id=source.pk,
            entity_type_id=product,
            entity_id=text,
        )
    if is_counted:
        roll_up(now=LATER)
    assert {row.entity.pk for row in recipients(source).rows} == set(TEXTS[:6])
    pages = [recipients(source, limit=1, offset=number).rows for number in range(6)]
    assert {row.entity.pk for (row,) in pages} == set(TEXTS[:6])
    assert campaign(source, LATER).opened.unique == recipients(source).total == 6
    found = recipients(source, search="Tea")
    assert [row.entity.pk for row in found.rows] == ["Tea"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_filter_chooses_one_text(text):
    save(TEXTS)
    for key in ("source", "medium", "campaign", "browser", "os"):
        only = Filters(**{key: text})
        assert listing("sources", PERIOD, only).whole == 1, key
    assert listing("pages", PERIOD, Filters(page=text)).rows[0].value == text
    assert listing("links", PERIOD, Filters(link=text)).whole == 1
    for other in TEXTS:
        Source.objects.create(name=other, slug=other)
    Beacon.objects.update(
        source_type=brute_force.content_type_of("tracking.source"),
        source_id=Source.objects.get(slug=text).pk,
    )
    assert listing("links", PERIOD, Filters(source=text)).whole == len(TEXTS)
