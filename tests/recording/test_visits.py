"""Page hits become visitors, visits and page views."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.concurrency import together
from tracking.db.column_values import MAX_TEXT
from tracking.db.retry import retry_transaction
from tracking.hits import Hit, Kind, PageHit
from tracking.models import Beacon, PageView, Visit, Visitor
from tracking.recording import visits, write
from tracking.signals import visitor_seen

#: In the evening of the day of the hits: single hits of a day that is over are written as a batch.
pytestmark = [pytest.mark.django_db, pytest.mark.moment("2026-03-01T20:00:00+00:00")]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def hit(minutes=0.0, visitor="anna", url="/tea/", **values):
    values = {"ip_address": "192.0.2.7", "user_agent": FIREFOX, **values}
    return PageHit(visitor=visitor, url=url, time=NOON + timedelta(minutes=minutes), **values)


def seen(*hits):
    """Write hits one by one, as the default backend does."""
    for each in hits:
        write([each])


def shape():
    """Return all visits as pairs of minutes, with their pages."""
    return [
        (
            (v.started_at - NOON) / timedelta(minutes=1),
            (v.ended_at - NOON) / timedelta(minutes=1),
            v.page_views,
        )
        for v in Visit.objects.order_by("started_at")
    ]


@pytest.fixture
def both_ways(request):
    """Write hits one by one, or as one batch: nothing may depend on it."""
    return {"one by one": seen, "as a batch": lambda *hits: write(hits)}[request.param]


BOTH_WAYS = pytest.mark.parametrize("both_ways", ["one by one", "as a batch"], indirect=True)


@BOTH_WAYS
def test_pages_of_one_browser_are_one_visitor_and_one_visit(both_ways):
    first = hit(
        referrer="https://search.example/", campaign={"source": "letter", "medium": "email"}
    )
    both_ways(first, hit(3, url="/tea/green/"), hit(10, url="/cart/", ip_address="198.51.100.9"))
    visitor = Visitor.objects.get()
    assert (visitor.key, visitor.page_views, visitor.url) == ("anna", 3, "/cart/")
    assert visitor.time_on_site == timedelta(minutes=10)
    assert visitor.referrer == "https://search.example/"
    assert visitor.ip_address == "198.51.100.9"
    visit = Visit.objects.get()
    assert visit.visitor == visitor
    assert (visit.ip_address, visit.user_agent) == ("192.0.2.7", FIREFOX)
    assert (visit.entry_url, visit.exit_url, visit.page_views) == ("/tea/", "/cart/", 3)
    assert (visit.source, visit.medium, visit.campaign) == ("letter", "email", "")
    assert visit.length == timedelta(minutes=10)
    assert not visit.is_bounce
    assert list(visit.pages.order_by("time").values_list("url", flat=True)) == [
        "/tea/", "/tea/green/", "/cart/"
    ]  # fmt: skip


@BOTH_WAYS
def test_thirty_minutes_without_a_page_begin_a_new_visit(both_ways):
    both_ways(
        hit(referrer="https://search.example/"),
        hit(29.9),
        hit(59.9, url="/again/", referrer="https://mail.example/", campaign={"source": "letter"}),
    )
    assert shape() == [(0, 29.9, 2), (59.9, 59.9, 1)]
    visitor = Visitor.objects.get()
    assert visitor.page_views == 3
    assert visitor.time_on_site == timedelta(0)
    assert visitor.referrer == "https://mail.example/"
    assert Visit.objects.latest().source == "letter"
    assert Visit.objects.latest().is_bounce


def test_half_an_hour_on_the_site_shows():
    """django-user-tracking: 30 minutes on site shows as 0:00:00."""
    seen(hit(), hit(20), hit(30))
    assert str(Visitor.objects.get().time_on_site) == "0:30:00"


def test_hits_that_arrive_in_any_order_make_the_same_rows():
    hits = [hit(minute, url=f"/{minute}/") for minute in (0, 10, 20, 70, 80, 200)]
    expected = [(0, 20, 3), (70, 80, 2), (200, 200, 1)]
    for seed in range(4):
        Visit.objects.all().delete()
        Visitor.objects.all().delete()
        # Out of order by less than the gap, as queues deliver.
        order = sorted(
            hits, key=lambda h: h.time + timedelta(minutes=random.Random(seed).random() * 25)
        )
        seen(*order)
        assert shape() == expected
        assert Visit.objects.earliest("started_at").entry_url == "/0/"
        visitor = Visitor.objects.get()
        assert (visitor.url, visitor.page_views) == ("/200/", 6)
        assert visitor.session_start == NOON + timedelta(minutes=200)


@pytest.mark.parametrize("order", list(itertools.permutations([0, 20, 40, 60])))
@BOTH_WAYS
def test_a_hit_that_arrives_late_joins_two_visits(both_ways, order):
    both_ways(*(hit(minute, url=f"/{minute}/") for minute in order))
    assert shape() == [(0, 60, 4)]
    visit = Visit.objects.get()
    assert (visit.entry_url, visit.exit_url) == ("/0/", "/60/")
    assert visit.pages.count() == 4
    assert Visitor.objects.get().session_start == NOON


def test_a_page_is_counted_once_however_often_it_is_delivered():
    first, second, third = hit(), hit(1), hit(2)
    write([first, first, second])
    write([second, first])
    write([second, third])
    assert Visitor.objects.get().page_views == Visit.objects.get().page_views == 3
    assert PageView.objects.count() == 3


def test_beacons_and_pages_travel_in_one_batch():
    (beacon,) = write([hit(), Hit(kind=Kind.CLICK, visitor="anna", user_agent=FIREFOX), hit(1)])
    assert Beacon.objects.get() == beacon
    assert Beacon.objects.get().visitor == Visitor.objects.get()
    assert list(Visitor.objects.get().beacons.all()) == [beacon]


def test_a_beacon_may_come_before_its_visitor_and_outlive_it():
    write([Hit(kind=Kind.CLICK, visitor="anna", user_agent=FIREFOX)])
    assert Beacon.objects.get().visitor is None
    assert Beacon.objects.select_related("visitor").get().visitor is None
    write([hit()])
    assert Beacon.objects.get().visitor == Visitor.objects.get()
    Visitor.objects.all().delete()
    assert Beacon.objects.get().visitor is None
    assert Beacon.objects.get().visitor_id == "anna"
    assert Visit.objects.get().visitor is None


def test_a_mail_proxy_is_nobodys_browser():
    write(
        [
            Hit(
                kind=Kind.OPEN,
                visitor="anna",
                user_agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
            )
        ]
    )
    beacon = Beacon.objects.get()
    assert (beacon.verdict, beacon.visitor_id, beacon.browser) == ("proxy", None, "")
    assert "Gmail" in beacon.verdict_reason


def test_page_views_without_rows_are_counted_nevertheless(settings):
    settings.TRACKING_PAGE_VIEWS = False
    write([hit(), hit(1)])
    assert PageView.objects.count() == 0
    assert Visitor.objects.get().page_views == Visit.objects.get().page_views == 2


# Who is logged in.


@pytest.fixture
def user():
    return get_user_model().objects.create_user("anna")


@BOTH_WAYS
def test_the_moment_a_visitor_logs_in(both_ways, user):
    as_user = str(user.pk)
    both_ways(hit(user=""), hit(5, user=as_user), hit(6), hit(7, user=as_user))
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.logged_in_at) == (user, NOON + timedelta(minutes=5))
    assert Visit.objects.get().user == user


@BOTH_WAYS
def test_logging_out_ends_it_for_the_visitor_and_not_for_the_visit(both_ways, user):
    both_ways(hit(user=str(user.pk)), hit(5, user=""))
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.logged_in_at) == (None, None)
    assert Visit.objects.get().user == user


def test_what_a_late_page_knows_of_the_user_is_no_news(user):
    other = get_user_model().objects.create_user("ben")
    seen(hit(user=str(user.pk)), hit(10, user=str(other.pk)), hit(5, user=str(user.pk)))
    assert Visit.objects.get().user == Visitor.objects.get().user == other
    assert Visitor.objects.get().logged_in_at == NOON + timedelta(minutes=10)


def test_a_late_page_can_tell_an_earlier_moment(user):
    seen(hit(user=""), hit(10, user=str(user.pk)), hit(5, user=str(user.pk)))
    assert Visitor.objects.get().logged_in_at == NOON + timedelta(minutes=5)


def test_a_log_in_is_not_lost_to_a_later_page_that_does_not_ask(user):
    seen(hit(user=""), hit(10), hit(9.99, user=str(user.pk)))
    assert Visitor.objects.get().user == user


def test_the_session_that_was_left_is_forgotten():
    seen(hit(session_key="abc"), hit(1))
    assert Visitor.objects.get().session_key == "abc"
    seen(hit(2, session_key=""))
    assert Visitor.objects.get().session_key == ""


def test_half_a_character_is_no_reason_to_lose_a_hit():
    write([hit(user_agent="\ud800", referrer="\udfff", url="/\ud800")])
    assert Visitor.objects.get().user_agent == "?"


def test_with_naive_times_the_zone_of_a_reader_does_not_matter(settings):
    settings.USE_TZ = False
    with timezone.override("Asia/Tokyo"):
        write([hit()])
    assert Visitor.objects.get().last_update == NOON.astimezone(ZoneInfo("Europe/Berlin")).replace(
        tzinfo=None
    )


def test_who_is_deleted_is_forgotten(user):
    seen(hit(user=str(user.pk)))
    user.delete()
    assert Visitor.objects.get().user_id is None
    assert Visit.objects.get().user_id is None


def test_a_page_that_does_not_ask_changes_nothing_about_the_user(user):
    seen(hit(user=str(user.pk), session_key="abc"), hit(5))
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.session_key) == (user, "abc")


@pytest.mark.parametrize("gone", ["987654", "not a key"])
def test_a_user_who_is_gone_by_now_is_nobody(gone):
    write([hit(user=gone)])
    assert Visitor.objects.get().user is None
    assert Visit.objects.get().user is None


# What strangers send.


def test_hostile_texts_are_kept_as_text_and_cut():
    nasty = "<script>\0" + "x" * 5_000
    write([hit(url=nasty, referrer=nasty, user_agent=nasty, campaign={"source": nasty})])
    visitor, visit = Visitor.objects.get(), Visit.objects.get()
    assert visitor.url.startswith("<script>\N{REPLACEMENT CHARACTER}x")
    assert len(visitor.url) == len(visitor.referrer) == len(visitor.user_agent) == 512
    assert len(visit.source) == 200
    assert PageView.objects.get().url == visitor.url


# Cost, and what goes wrong.


def test_a_batch_costs_the_same_few_statements_whatever_its_size():
    def statements(hits):
        with CaptureQueriesContext(connection) as queries:
            write(hits)
        return [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]

    many = [hit(number / 10, visitor=f"visitor {number}") for number in range(20)]
    first = statements(many)
    assert len(first) == 5, first  # visitors, visits read, visits, page views, visitors read
    assert Visitor.objects.count() == Visit.objects.count() == PageView.objects.count() == 20
    again = statements([hit(number / 10 + 1, visitor=f"visitor {number}") for number in range(20)])
    assert len(again) == 5, again
    assert set(Visitor.objects.values_list("page_views", flat=True)) == {2}


def test_more_visitors_than_fit_into_one_statement():
    write([hit(visitor=f"visitor {number}") for number in range(700)])
    write([hit(1, visitor=f"visitor {number}") for number in range(700)])
    assert (
        Visitor.objects.filter(page_views=2).count()
        == Visit.objects.filter(page_views=2).count()
        == 700
    )
    assert PageView.objects.count() == 1_400


def test_a_batch_is_written_or_not_as_a_whole(monkeypatch):
    monkeypatch.setattr(visits, "update_visitors", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write([hit(), hit(visitor="ben")])
    assert not Visitor.objects.exists()
    assert not PageView.objects.exists()


def test_the_signal_is_sent_once_for_each_visitor_of_a_batch(restore_receivers):
    heard = []
    visitor_seen.connect(lambda **kwargs: heard.append(kwargs), weak=False)
    write([hit(), hit(1), hit(visitor="ben")])
    write([hit(2)])
    told = sorted((call["visitor"].key, call["page_views"]) for call in heard)
    assert told == [("anna", 1), ("anna", 2), ("ben", 1)]
    assert heard[-1]["visitor"].page_views == 3
    assert heard[0]["sender"] is Visitor


def test_a_listener_that_fails_changes_nothing(restore_receivers, caplog):
    def failing(**kwargs):
        raise RuntimeError("not today")

    visitor_seen.connect(failing)
    write([hit()])
    assert Visitor.objects.count() == 1
    assert "not today" in caplog.text


def test_a_deadlock_is_not_the_end():
    tries = []

    def work():
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return "done"

    class Outside:
        in_atomic_block, connection = False, None

    original = connections["default"]
    connections["default"] = Outside()
    try:
        assert retry_transaction("default", work) == "done"
        with pytest.raises(OperationalError, match="gone away"):
            retry_transaction("default", gone_away)
    finally:
        connections["default"] = original


def gone_away():
    raise OperationalError(2006, "Server has gone away")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
def test_concurrent_first_requests_of_one_browser_are_one_visitor(caplog):
    """django-user-tracking: page views lost under concurrency; two rows for one visitor."""

    def browse():
        for _ in range(10):
            write([hit(random.random())])

    failures = together(20, browse)
    assert failures == []
    assert Visitor.objects.get().page_views == 200
    assert Visit.objects.get().page_views == 200
    assert PageView.objects.count() == 200
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


# What a hostile client sends.


@BOTH_WAYS
def test_a_hit_from_the_future_does_not_keep_its_visitor_active_for_years(both_ways):
    before = timezone.now()
    in_years = datetime(2090, 1, 1, tzinfo=UTC)
    both_ways(PageHit(visitor="anna", url="/tea/", time=in_years, user_agent=FIREFOX))
    after = timezone.now()
    assert before <= Visitor.objects.get().last_update <= after
    assert before <= Visit.objects.get().ended_at <= after
    assert before <= PageView.objects.get().time <= after


def test_a_clock_that_is_a_few_seconds_ahead_is_believed():
    ahead = timezone.now() + timedelta(seconds=20)
    write([PageHit(visitor="anna", url="/tea/", time=ahead, user_agent=FIREFOX)])
    assert Visitor.objects.get().last_update == ahead
    assert Visitor.objects.active().count() == 1


def test_a_time_from_the_future_is_found_with_naive_times(settings):
    settings.USE_TZ = False
    write([PageHit(visitor="anna", url="/tea/", time=datetime(2090, 1, 1, tzinfo=UTC))])
    assert Visitor.objects.get().last_update <= timezone.now()


def test_a_row_that_is_from_the_future_already_is_not_active():
    Visitor.objects.create(last_update=timezone.now() + timedelta(days=400))
    assert not Visitor.objects.active().exists()


def test_one_page_stores_no_more_than_is_judged():
    long = "x" * 8_000
    names = ("source", "medium", "campaign", "term", "content")
    write(
        [
            PageHit(
                visitor="anna",
                url="/" + long,
                referrer="https://a.example/" + long,
                user_agent=FIREFOX + long,
                campaign=dict.fromkeys(names, long),
            )
        ]
    )
    rows = [*Visitor.objects.values(), *Visit.objects.values(), *PageView.objects.values()]
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    assert max(map(len, texts)) == MAX_TEXT == 512
    assert sum(map(len, texts)) < 6_000
