"""Visits of visitors without a cookie that run over midnight."""

import itertools
import random
from datetime import date, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.concurrency import in_threads
from tracking.hits import Hit, Kind, PageHit
from tracking.models import Beacon, PageView, Visit, Visitor
from tracking.models.visitors import VISIT_GAP
from tracking.recording import write
from tracking.recording.visitors import log_out
from tracking.rollups import days
from tracking.signals import visitor_seen

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

#: Zones and days: clocks go forward or back on that day or at its start, or never do.
PLACES = [
    ("America/Los_Angeles", date(2026, 3, 8)),
    ("America/Los_Angeles", date(2025, 11, 2)),
    ("Asia/Tokyo", date(2026, 5, 2)),
    ("Asia/Tehran", date(2022, 3, 22)),
    ("Asia/Tehran", date(2022, 9, 22)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2025, 10, 5)),
]

TODAY = date(2026, 5, 2)


class Night:
    """The nights before and after a day, in which one browser without a cookie comes.

    Attributes:
        day: the day; the hits are written on it.
    """

    def __init__(self, day):
        self.day = day

    def hit(self, minutes, name="anna", **values):
        """Return the page so many minutes after the midnight before the day."""
        time = days.start_of(self.day) + timedelta(minutes=minutes)
        day = days.day_of(time)
        is_early = time < days.start_of(day) + VISIT_GAP
        previous = f"{name} {day - days.DAY}" if is_early else None
        defaults = {"visitor": f"{name} {day}", "previous_visitor": previous}
        return PageHit(
            **{**defaults, "url": f"/{minutes}/", **values}, time=time, user_agent=FIREFOX
        )


@pytest.fixture
def night(monkeypatch):
    monkeypatch.setattr(days, "today", lambda: TODAY)
    return Night(TODAY)


def seen(*hits):
    for each in hits:
        write([each])


@pytest.fixture
def both_ways(request):
    """Write hits one by one, or as one batch: nothing may depend on it."""
    return {"one by one": seen, "as a batch": lambda *hits: write(hits)}[request.param]


BOTH_WAYS = pytest.mark.parametrize("both_ways", ["one by one", "as a batch"], indirect=True)


def visits():
    """Return the number of pages of each visit, in order."""
    return list(Visit.objects.order_by("started_at").values_list("page_views", flat=True))


def assert_all_is_one(pages):
    visitor, visit = Visitor.objects.get(), Visit.objects.get()
    assert visitor.page_views == visit.page_views == PageView.objects.count() == pages
    assert visit.visitor == visitor
    assert visitor.session_start == visit.started_at
    assert visitor.last_update == visit.ended_at
    assert visitor.url == visit.exit_url


pytestmark = pytest.mark.django_db


@BOTH_WAYS
@pytest.mark.parametrize(("zone", "day"), PLACES)
def test_a_visit_over_midnight_is_one_visit_of_one_visitor(
    zone, day, both_ways, settings, monkeypatch
):
    settings.TIME_ZONE = zone
    monkeypatch.setattr(days, "today", lambda: day)
    night = Night(day)
    both_ways(*map(night.hit, (-50, -25, -0.1, 0.1, 20, 45, 70)))
    assert_all_is_one(7)
    assert Visitor.objects.get().key == f"anna {day}"
    assert Visit.objects.get().started_at == days.start_of(day) - timedelta(minutes=50)
    assert days.day_of(Visit.objects.get().started_at) == day - days.DAY


@pytest.mark.parametrize("order", [*itertools.permutations((-20, -2, 5, 33))])
def test_the_order_of_writing_makes_no_difference(order, night):
    seen(*map(night.hit, order))
    assert_all_is_one(4)
    assert Visit.objects.get().entry_url == "/-20/"


@BOTH_WAYS
def test_a_browser_that_comes_back_later_is_another_visitor(both_ways, night):
    both_ways(*map(night.hit, (-40, -20, 10.1, 15)))
    assert visits() == [2, 2]
    assert sorted(Visitor.objects.values_list("key", flat=True)) == [
        "anna 2026-05-01",
        "anna 2026-05-02",
    ]


@BOTH_WAYS
def test_a_visitor_may_stay_two_nights(both_ways, night, monkeypatch):
    """All pages are written after the second midnight, or each at its time."""
    pages = range(-30, 24 * 60 + 40, 20)
    both_ways(*map(night.hit, pages))
    assert_all_is_one(len(pages))
    assert Visitor.objects.get().key == "anna 2026-05-03"
    assert Visitor.objects.get().previous_key == "anna 2026-05-02"


def test_the_row_of_the_visitor_stays_the_same(night, monkeypatch):
    user = get_user_model().objects.create_user("anna")
    seen(night.hit(-9, session_key="s" * 32, user=str(user.pk), referrer="https://a.example/"))
    before = Visitor.objects.get()
    seen(night.hit(9))
    after = Visitor.objects.get()
    assert after.pk == before.pk
    assert (after.user, after.session_key) == (user, "s" * 32)
    assert after.logged_in_at == after.session_start == before.session_start
    assert after.referrer == "https://a.example/"


def test_two_rows_of_one_visitor_become_one(night):
    """They exist when a page of before midnight is written last."""
    user = get_user_model().objects.create_user("anna")
    seen(night.hit(-300, user=str(user.pk), session_key="s" * 32), night.hit(5), night.hit(10))
    assert Visitor.objects.count() == 2
    seen(night.hit(-10))
    visitor = Visitor.objects.get()
    assert (visitor.page_views, visitor.url) == (4, "/10/")
    assert (visitor.user, visitor.session_key) == (user, "s" * 32)
    assert visits() == [1, 3]
    assert Visit.objects.filter(visitor=visitor).count() == 2


def test_a_late_page_of_an_earlier_visit_belongs_to_the_same_visitor(night):
    seen(night.hit(-10), night.hit(5), night.hit(-300))
    visitor = Visitor.objects.get()
    assert visitor.page_views == 3
    assert visits() == [1, 2]
    assert Visit.objects.filter(visitor=visitor).count() == 2


def test_opens_and_clicks_of_before_midnight_are_still_those_of_the_visitor(night):
    page = night.hit(-5)
    click = Hit(kind=Kind.CLICK, time=page.time, visitor=page.visitor, user_agent=FIREFOX)
    earlier = Hit(
        kind=Kind.CLICK,
        time=page.time - timedelta(days=3),
        visitor=page.visitor,
        user_agent=FIREFOX,
    )
    write([click, earlier, page])
    write([night.hit(5)])
    assert [beacon.id for beacon in Visitor.objects.get().beacons.all()] == [click.id]
    assert Beacon.objects.count() == 2  # rows of earlier days are left alone


def test_a_visitor_with_a_cookie_keeps_the_key(night):
    """The key of a cookie is that of the day it was set on. Somebody else may have it then."""
    key = night.hit(-5).visitor
    seen(night.hit(-10), night.hit(-5, has_cookie=True), night.hit(2))
    seen(night.hit(3, visitor=key, previous_visitor=None, has_cookie=True))
    assert visits() == [3, 1]
    with_cookie = Visitor.objects.get(key=key)
    assert (with_cookie.page_views, with_cookie.has_cookie) == (3, True)
    other = Visitor.objects.exclude(key=key).get()
    assert (other.page_views, other.has_cookie, other.previous_key) == (1, False, None)


def test_a_late_page_with_a_cookie_keeps_the_key(night):
    seen(night.hit(2), night.hit(-5, has_cookie=True), night.hit(4))
    assert visits() == [1, 2]
    assert Visitor.objects.count() == 2


def test_a_page_that_is_delivered_twice_counts_once(night):
    pages = [*map(night.hit, (-5, 5, 34))]
    for some in (pages[:1], pages, pages[1:], pages, pages[:1]):
        write(some)
    assert_all_is_one(3)


def test_visitors_at_noon_cost_no_further_statement(night):
    with CaptureQueriesContext(connection) as queries:
        write([night.hit(720)])
    assert not [q for q in queries if "previous_key" in q["sql"] and "SELECT" in q["sql"][:6]]


def test_no_row_is_left_of_those_that_lock(night):
    seen(night.hit(5))
    assert Visitor.objects.get().key == "anna 2026-05-02"


def test_receivers_are_told_of_pages_of_before_midnight(night):
    seen(night.hit(5))
    told = []

    def receive(visitor, page_views, **_):
        told.append((visitor.key, page_views))

    visitor_seen.connect(receive)
    try:
        write([night.hit(-5), night.hit(6)])
    finally:
        visitor_seen.disconnect(receive)
    assert told == [("anna 2026-05-02", 2)]


def expected_visits(minutes):
    """Return the pages of each visit, and the number of visitors, of one browser."""
    minutes = sorted(minutes)
    counts = [1]
    is_carried = False
    for before, after in itertools.pairwise(minutes):
        if after - before < 30:
            counts[-1] += 1
            is_carried |= before < 0 <= after
        else:
            counts.append(1)
    both_days = minutes[0] < 0 <= minutes[-1]
    return counts, 2 if both_days and not is_carried else 1


@given(
    minutes=st.lists(st.integers(-90, 90), min_size=1, max_size=9, unique=True),
    chance=st.randoms(use_true_random=False),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pages_in_any_batches_in_any_order(minutes, chance, night):
    Visitor.objects.all().delete()
    Visit.objects.all().delete()
    hits = [*map(night.hit, minutes)]
    while hits:
        size = chance.randint(1, len(hits))
        write(hits[:size])
        del hits[:size]
    counts, visitors = expected_visits(minutes)
    assert visits() == counts
    assert Visitor.objects.count() == visitors
    assert sum(Visitor.objects.values_list("page_views", flat=True)) == len(minutes)
    assert set(Visit.objects.values_list("visitor_id", flat=True)) == set(
        Visitor.objects.values_list("key", flat=True)
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
@pytest.mark.parametrize("seed", range(6))
def test_processes_that_write_at_once_make_one_visitor(seed, night):
    chance = random.Random(seed)
    names = [f"visitor {number}" for number in range(8)]
    batches = []
    for _ in range(4):
        minutes = chance.sample(range(-12, 12), 6)
        batches.append([night.hit(minute, name) for minute in minutes for name in names])
    in_threads(*(lambda batch=batch: write(batch) for batch in batches))
    assert Visitor.objects.count() == Visit.objects.count() == 8
    assert set(Visitor.objects.values_list("page_views", flat=True)) == {24}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
def test_the_last_page_of_a_day_and_the_first_of_the_next_are_written_at_once(night):
    names = [f"visitor {number}" for number in range(60)]
    before, after = ([night.hit(minute, name) for name in names] for minute in (-1, 1))
    in_threads(lambda: seen(*before), lambda: seen(*after))
    assert Visitor.objects.count() == Visit.objects.count() == 60
    assert set(Visitor.objects.values_list("page_views", flat=True)) == {2}


def test_who_logs_out_right_after_midnight_is_logged_out(night):
    user = get_user_model().objects.create_user("anna")
    before, after = night.hit(-5, user=str(user.pk), session_key="s" * 32), night.hit(5)
    cookie = PageHit(visitor="c", url="/", time=before.time, user=str(user.pk), has_cookie=True)
    write([before, cookie])
    log_out(after.visitor, before.visitor)
    log_out(after.visitor, "c")
    write([after])
    assert Visitor.objects.get(key=after.visitor).user is None
    assert Visitor.objects.get(key="c").user == user
