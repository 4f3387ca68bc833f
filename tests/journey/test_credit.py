"""Events are credited to the mailing that led to them, once, when they are written."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from msgspec.structs import replace

from tests.site.models import Affiliate, Subscriber
from tests.support.brute_force import AGENTS
from tracking import recipient_consent
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.journey import last_clicks
from tracking.models import Beacon, PageView
from tracking.recording import write

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 24, 12, 0, tzinfo=UTC)
FIREFOX, BOT = AGENTS[0], AGENTS[-1]


def hours(number):
    return NOON + timedelta(hours=number)


@pytest.fixture
def mailings():
    return [Reference.to(Affiliate.objects.create(name=name)) for name in ("spring", "summer")]


@pytest.fixture
def readers():
    return [
        Reference.to(Subscriber.objects.create(email=f"{name}@mail.example"))
        for name in ("anna", "bea")
    ]


def click(source, entity=None, hour=0, **values):
    values = {"user_agent": FIREFOX, "visitor": "v", **values}
    return Hit(kind=Kind.CLICK, time=hours(hour), source=source, entity=entity, **values)


def event(hour=1, **values):
    values = {"event_name": "purchase", "visitor": "v", "user_agent": FIREFOX, **values}
    return Hit(kind=Kind.EVENT, time=hours(hour), **values)


def page(hour=1, url="/welcome/", **values):
    values = {"visitor": "v", "user_agent": FIREFOX, **values}
    return PageHit(url=url, time=hours(hour), **values)


def credited():
    """Return source and entity of each event, in the order of time."""
    return [
        (row.reference("source"), row.reference("entity"))
        for row in Beacon.objects.events().order_by("time")
    ]


def test_an_event_belongs_to_the_last_click_of_its_visitor(mailings, readers):
    write([click(mailings[0], readers[0], 0), click(mailings[1], readers[1], 1)])
    write([event(2)])
    assert credited() == [(mailings[1], readers[1])]


def test_a_click_of_the_same_batch_counts_as_written(mailings, readers):
    write([event(2), click(mailings[1], readers[1], 1), click(mailings[0], readers[0], 0)])
    assert credited() == [(mailings[1], readers[1])]


def test_a_later_click_changes_nothing(mailings, readers):
    write([click(mailings[0], readers[0], 0)])
    write([event(2)])
    write([click(mailings[1], readers[1], 3)])
    assert credited() == [(mailings[0], readers[0])]
    write([event(2), click(mailings[1], readers[1], 4)])  # another event of the same time
    assert credited() == [(mailings[0], readers[0])] * 2


def test_the_click_of_the_entity_comes_before_that_of_the_visitor(mailings, readers):
    write(
        [
            click(mailings[0], readers[0], 0, visitor="at work"),
            click(mailings[1], readers[1], 1, visitor="at home"),
        ]
    )
    write([event(2, visitor="at home", entity=readers[0])])
    assert credited() == [(mailings[0], readers[0])]


def test_without_a_click_of_the_entity_that_of_the_visitor_counts(mailings, readers):
    write([click(mailings[0], readers[0], 0)])
    write([event(1, entity=readers[1])])
    assert credited() == [(mailings[0], readers[1])]


def test_what_the_site_says_is_kept(mailings, readers):
    write([click(mailings[0], readers[0], 0)])
    with CaptureQueriesContext(connection) as queries:
        write([event(1, source=mailings[1])])
    assert credited() == [(mailings[1], None)]
    assert not [query for query in queries if "latest_0" in query["sql"]]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=-1)])
def test_a_click_leads_to_events_for_so_many_days(settings, mailings, late):
    settings.TRACKING_ATTRIBUTION_DAYS = 0.5
    write([click(mailings[0])])
    write([replace(event(), time=hours(12) - late)])
    assert credited() == [(None if late else mailings[0], None)]


@pytest.mark.parametrize("days", [None, 0, -1, True, "7", float("nan"), 1e9])
def test_a_setting_that_is_no_number_of_days_credits_nothing(settings, mailings, days):
    settings.TRACKING_ATTRIBUTION_DAYS = days
    write([click(mailings[0])])
    write([event(1)])
    assert credited() == [(None, None)]


def test_only_people_lead_to_events(mailings, readers):
    write(
        [
            click(mailings[0], readers[0], user_agent=BOT),
            Hit(kind=Kind.OPEN, source=mailings[0], time=NOON, visitor="v", user_agent=FIREFOX),
            click(None, readers[0]),
            click(mailings[0], visitor=None),
            click(mailings[0], visitor="another"),
            click(mailings[0], hour=2),
        ]
    )
    write([event(1), event(1, entity=readers[0], visitor=None), event(1, visitor=None)])
    write([event(1), click(mailings[0], readers[0], user_agent=BOT)])
    assert [source for source, _entity in credited()] == [None] * 4


def test_a_batch_that_is_delivered_again_changes_nothing(mailings, readers):
    first = event(2)
    write([click(mailings[0], readers[0], 0), first])
    write([first, click(mailings[1], readers[1], 1)])
    assert credited() == [(mailings[0], readers[0])]


def test_one_query_for_a_batch(mailings, readers):
    write([click(mailings[0], readers[0], 0)])
    events = [event(1 + n / 100, entity=readers[n % 2]) for n in range(50)]
    with CaptureQueriesContext(connection) as queries:
        write(events)
    assert len([query for query in queries if "latest_0" in query["sql"]]) == 1
    assert credited() == [(mailings[0], readers[n % 2]) for n in range(50)]


def test_batches_of_thousands_of_events(mailings):
    write([click(mailings[n % 2], hour=0, visitor=f"v{n}") for n in range(1_000)])
    write([event(1, visitor=f"v{n}") for n in range(1_000)])
    assert Beacon.objects.events().for_source(Affiliate.objects.first()).count() == 500


def test_without_events_there_is_no_query_more(mailings):
    write([click(mailings[0])])  # its content type is known from now on
    with CaptureQueriesContext(connection) as queries:
        write([replace(click(mailings[0]), time=datetime.now(UTC))])
    others = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"].upper()]
    assert len(others) == 1
    assert "event_name" not in others[0]


def test_a_visitor_of_a_million_hits_delays_nobody(mailings, monkeypatch):
    monkeypatch.setattr(last_clicks, "MAX_READ", 3)
    write([click(mailings[0], hour=0)])
    opens = [
        Hit(kind=Kind.OPEN, time=hours(hour), visitor="v", user_agent=FIREFOX)
        for hour in (1, 3, 3, 3)
    ]
    write(opens[:1])
    write([event(2)])
    write(opens[1:])
    write([event(4)])
    assert credited() == [(mailings[0], None), (None, None)]


# By brute force.


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_batches_each_event_gets_the_last_click_before_it(seed, mailings, readers):
    chance = random.Random(seed)
    hits = []
    for _ in range(120):
        source = chance.choice([*mailings, None])
        entity, visitor = chance.choice([*readers, None]), chance.choice(["v", "w", None])
        hour = chance.randrange(0, 24 * 20)
        if chance.random() < 0.5:
            agent = chance.choice([FIREFOX, FIREFOX, BOT])
            hits.append(click(source, entity, hour, visitor=visitor, user_agent=agent))
        else:
            hits.append(event(hour, source=source, entity=entity, visitor=visitor))
    hits.sort(key=lambda hit: (hit.time, hit.id))
    rest = list(hits)
    while rest:
        size = chance.randint(1, 30)
        write(chance.sample(rest[:size], len(rest[:size])))
        del rest[:size]
    clicks = [
        hit for hit in hits if hit.kind == "click" and hit.source and hit.user_agent == FIREFOX
    ]
    for hit in hits:
        if hit.kind != "event":
            continue
        row = Beacon.objects.get(pk=hit.id)
        source, entity = hit.source, hit.entity
        if source is None:
            near = [
                one for one in clicks if timedelta(0) <= hit.time - one.time <= timedelta(days=7)
            ]
            of_entity = [one for one in near if hit.entity and one.entity == hit.entity]
            of_visitor = [one for one in near if hit.visitor and one.visitor == hit.visitor]
            found = of_entity or of_visitor
            if found:
                last = max(found, key=lambda one: (one.time, one.id))
                source, entity = last.source, hit.entity or last.entity
        assert (row.reference("source"), row.reference("entity")) == (source, entity)


# Pages.


@pytest.fixture
def page_goals(settings):
    settings.TRACKING_GOALS = {"Signed up": "/welcome/", "Read": "/welcome/tea/", "Bought": "buy"}


@pytest.mark.usefixtures("page_goals")
class TestPages:
    def test_a_page_is_a_goal_of_the_mailing_that_led_to_it(self, mailings, readers):
        write([click(mailings[0], readers[0], 0)])
        write([page(1), page(2, "/"), page(3, "/welcome/tea/green/")])
        rows = Beacon.objects.events().order_by("time", "event_name")
        assert [(row.event_name, row.url) for row in rows] == [
            ("/welcome/", "/welcome/"),
            ("/welcome/", "/welcome/tea/green/"),
            ("/welcome/tea/", "/welcome/tea/green/"),
        ]
        assert {(row.reference("source"), row.reference("entity")) for row in rows} == {
            (mailings[0], readers[0])
        }
        assert {row.visitor_id for row in rows} == {"v"}

    def test_pages_without_a_mailing_are_no_events(self, mailings):
        write([click(mailings[0], visitor="another"), page(1)])
        assert not Beacon.objects.events().exists()
        assert PageView.objects.count() == 1

    def test_a_machine_reaches_no_goal(self, mailings):
        write([click(mailings[0]), page(1, user_agent=BOT), page(1, user_agent="curl/8")])
        assert not Beacon.objects.events().exists()

    def test_a_page_that_is_delivered_twice_is_one_event(self, mailings):
        write([click(mailings[0])])
        hits = [page(1, "/welcome/tea/")]
        write(hits)
        write(hits)
        events = list(Beacon.objects.events())
        assert len(events) == 2
        assert {row.pk.int >> 64 for row in events} == {hits[0].id.int >> 64}
        assert all(row.pk.version == 7 and row.pk.variant == hits[0].id.variant for row in events)

    def test_it_counts_where_page_views_are_not_kept(self, settings, mailings):
        settings.TRACKING_PAGE_VIEWS = False
        write([click(mailings[0])])
        write([page(1)], UUID(int=7))
        write([page(1)], UUID(int=8))
        assert Beacon.objects.events("/welcome/").count() == 2


def test_without_goals_a_page_makes_no_query_more(mailings):
    write([click(mailings[0])])
    write([page(0)])
    with CaptureQueriesContext(connection) as before:
        write([page(1)])
    assert not any("tracking_beacon" in query["sql"] for query in before)


def test_keys_that_no_database_stores_are_looked_up_as_they_are_stored(mailings):
    odd = Reference("site.affiliate", "a\0b")
    write([click(mailings[0], odd, 0, visitor="c\0d")])
    write([event(1, entity=odd), event(2, visitor="c\0d")])
    write([event(3, entity=Reference("no.model", "7"))])
    assert [source for source, _entity in credited()] == [mailings[0], mailings[0], None]


def test_a_click_leads_to_nothing_once_its_recipient_withdraws(mailings, readers):
    write([click(mailings[0], readers[0])])
    recipient_consent.withdraw(readers[0], opens=False)
    write([event()])
    assert credited() == [(None, None)]
