"""What one recipient of a mailing did after a click."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from msgspec.structs import replace

from tests.site.models import Subscriber
from tests.support import brute_force
from tests.support.brute_force import AGENTS
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon
from tracking.recording import write
from tracking.reports import journeys
from tracking.reports.journeys import journey, next_pages

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 24, 12, tzinfo=UTC)
FIREFOX = AGENTS[0]


def at(minute):
    return START + timedelta(minutes=minute)


def click(source, entity, minute, visitor="v", url="https://shop.example/tea"):
    values = {"visitor": visitor, "user_agent": FIREFOX, "url": url}
    return Hit(kind=Kind.CLICK, time=at(minute), source=source, entity=entity, **values)


def page(minute, url, visitor="v"):
    return PageHit(visitor=visitor, url=url, time=at(minute), user_agent=FIREFOX)


def event(minute, visitor="v", **values):
    values = {"event_name": "purchase", "visitor": visitor, "user_agent": FIREFOX, **values}
    return Hit(kind=Kind.EVENT, time=at(minute), **values)


@pytest.fixture
def mailings():
    return brute_force.mailings()


@pytest.fixture
def people():
    return brute_force.readers(2)


def steps(source, entity, **options):
    return [(step.what, step.text) for step in journey(source, entity, **options).steps]


def test_from_the_mail_to_the_purchase(mailings, people):
    spring, anna = mailings[0], people[0]
    write([page(-1, "/before/"), Hit(kind=Kind.SENT, time=at(-5), source=spring, entity=anna)])
    write([click(spring, anna, 0), page(1, "/tea/"), page(2, "/cart/"), page(1, "/", "w")])
    write([event(3, event_value=Decimal("49.90"))])
    found = journey(spring, anna)
    assert [(step.what, step.text) for step in found.steps] == [
        ("sent", ""),
        ("click", "https://shop.example/tea"),
        ("page_view", "/tea/"),
        ("page_view", "/cart/"),
        ("event", "purchase"),
    ]
    assert found.steps[-1].value == Decimal("49.90")
    assert not found.is_cut
    assert json.loads(json.dumps(found.as_dict()))["steps"][-1]["value"] == "49.90"


def test_a_later_click_ends_the_journey(mailings, people):
    write([click(mailings[0], people[0], 0), page(1, "/one/"), event(2)])
    before = steps(mailings[0], people[0])
    write([click(mailings[1], people[0], 3), page(4, "/two/"), event(5, event_name="search")])
    write([click(mailings[1], people[1], 6), page(7, "/three/")])  # the same browser
    assert steps(mailings[0], people[0]) == before
    assert before[1:] == [("page_view", "/one/"), ("event", "purchase")]
    assert steps(mailings[1], people[0])[1:] == [("page_view", "/two/"), ("event", "search")]
    assert steps(mailings[1], people[1])[1:] == [("page_view", "/three/")]


def test_what_the_site_calls_by_another_name_belongs_to_the_recipient(mailings, people):
    user = Reference("auth.user", "7")
    write([click(mailings[0], people[0], 0), event(1, entity=user)])
    assert steps(mailings[0], people[0])[1:] == [("event", "purchase")]
    write([click(mailings[1], people[1], 2)])
    write([event(3, entity=user, source=mailings[0])])  # another's browser by then
    assert len(steps(mailings[0], people[0])) == 2


def test_pages_after_the_time_are_left_out(mailings, people, settings):
    settings.TRACKING_ATTRIBUTION_DAYS = 1
    day = 24 * 60
    write([click(mailings[0], people[0], 0), page(day, "/in/"), page(day + 1, "/out/")])
    assert steps(mailings[0], people[0])[1:] == [("page_view", "/in/")]
    settings.TRACKING_ATTRIBUTION_DAYS = None
    assert steps(mailings[0], people[0])[1:] == []


def test_pages_can_be_left_out(mailings, people):
    write([click(mailings[0], people[0], 0), page(1, "/one/")])
    assert steps(mailings[0], people[0], with_pages=False)[1:] == []


def test_few_queries_and_a_bound(mailings, people, monkeypatch):
    write([click(mailings[0], people[0], 0), *(page(n + 1, f"/{n}/") for n in range(20))])
    journey(mailings[0], people[0])
    with CaptureQueriesContext(connection) as queries:
        assert len(journey(mailings[0], people[0]).steps) == 21
    assert len(queries) == 3
    monkeypatch.setattr(journeys, "MAX_STEPS", 5)
    found = journey(mailings[0], people[0])
    assert (len(found.steps), found.is_cut) == (6, True)
    monkeypatch.setattr(journeys, "MAX_SEEN", 7)
    rows, is_cut = next_pages(mailings[0]).rows, next_pages(mailings[0]).is_cut
    assert (len(rows), is_cut) == (7, True)


def test_the_pages_of_all_recipients(mailings, people):
    spring, (anna, ben) = mailings[0], people
    write([click(spring, anna, 0), click(spring, ben, 0, "w"), click(spring, None, 0, "x")])
    write([page(1, "/tea/"), page(2, "/tea/"), page(1, "/tea/", "w"), page(1, "/cart/", "w")])
    write([page(1, "/tea/", "x"), click(mailings[1], ben, 3, "w"), page(4, "/cart/", "w")])
    found = next_pages(spring)
    assert found.rows == (("/tea/", 3, 4), ("/cart/", 1, 1))
    assert not found.is_cut
    assert next_pages(mailings[1]).rows == (("/cart/", 1, 1),)


def test_who_is_deleted_has_no_journey(mailings, people):
    subscriber = Subscriber.objects.get(pk=people[0].pk)
    write([click(mailings[0], people[0], 0), page(1, "/tea/"), event(2)])
    Beacon.objects.for_entity(subscriber).delete()
    assert journey(mailings[0], subscriber).steps == ()
    assert next_pages(mailings[0]).rows == ()
    assert not Beacon.objects.exists()


def test_nobody_is_nobody(mailings, people):
    assert journey(mailings[0], people[0]).steps == ()
    with pytest.raises(LookupError):
        journey(mailings[0], Reference("no.model", "7"))


def by_a_loop(hits):
    """Return the paths of pages by the mailing and the recipient of the last click before them."""
    clicks = [hit for hit in hits if isinstance(hit, Hit)]
    expected = {}
    for hit in hits:
        before = [one for one in clicks if one.visitor == hit.visitor and one.time <= hit.time]
        if isinstance(hit, PageHit) and before:
            last = max(before, key=lambda one: one.time)
            if hit.time - last.time <= timedelta(days=7):
                expected.setdefault((last.source, last.entity), set()).add(hit.url)
    return expected


@pytest.mark.parametrize("seed", range(4))
def test_every_page_belongs_to_the_last_click_before_it(seed, mailings, people):
    chance = random.Random(seed)
    hits = []
    for n in range(150):
        minute, visitor = chance.randrange(14 * 24 * 60), chance.choice("vw")
        if chance.random() < 0.3:
            hits.append(click(chance.choice(mailings), chance.choice(people), minute, visitor))
        else:
            hits.append(page(minute, f"/{n}/", visitor))
    hits = [replace(hit, time=hit.time + timedelta(seconds=n)) for n, hit in enumerate(hits)]
    for hit in sorted(hits, key=lambda hit: hit.time):
        write([hit])
    expected = by_a_loop(hits)
    for source in mailings:
        for entity in people:
            pages = {text for what, text in steps(source, entity) if what == "page_view"}
            assert pages == expected.get((source, entity), set())
        seen = {url for url, _people, _views in next_pages(source).rows}
        assert seen == set().union(*(expected.get((source, entity), ()) for entity in people))
