"""One page hit is written in few statements, and its rows are those that a batch would get."""

import subprocess
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import databases_apart
from tests.support.processes import Site
from tracking.hits import Hit, Kind, PageHit
from tracking.models import Beacon, LateDay, PageView, Visit, Visitor
from tracking.recording import one_page_view, visitors, write
from tracking.recording.one_page_view import save_page_view
from tracking.recording.visits import save_page_views
from tracking.signals import visitor_seen

pytestmark = pytest.mark.django_db

#: Three in the night of the site: what was before midnight is late, and not all is long ago.
NIGHT = "2026-03-02T03:00:00+01:00"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

#: The statements of a page.
STATEMENTS = {"postgresql": 2}.get(connection.vendor, 3)


def page(seconds_ago=0.0, visitor="anna", url="/tea/", **values):
    values = {"ip_address": "192.0.2.7", "user_agent": FIREFOX, **values}
    seen_at = timezone.now() - timedelta(seconds=seconds_ago)
    return PageHit(visitor=visitor, url=url, time=seen_at.replace(tzinfo=UTC), **values)


def statements(*hits):
    """Write hits and return the statements, without those of transactions."""
    with CaptureQueriesContext(connection) as queries:
        write(hits)
    words = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
    return [query["sql"] for query in queries if not query["sql"].startswith(words)]


def rows():
    """Return all rows but their surrogate keys."""
    found = [sorted(LateDay.objects.values_list("day", flat=True).distinct())]
    for model, key in ((Visitor, "key"), (Visit, "id"), (PageView, "id")):
        columns = [f.attname for f in model._meta.concrete_fields if f.name != "id" or key == "id"]
        found.append(list(model.objects.order_by(key).values(*columns)))
    return found


def forget():
    for model in (PageView, Visit, Visitor, LateDay):
        model.objects.all().delete()


# The number of statements.


@pytest.mark.django_db(transaction=True)
def test_a_page_is_few_statements_in_one_transaction():
    with CaptureQueriesContext(connection) as queries:
        write([page()])
    found = [query["sql"] for query in queries]
    assert len(found) == STATEMENTS + 2, found
    assert found[0].startswith("BEGIN")
    assert found[-1] == "COMMIT"


@pytest.mark.moment("2026-03-02T12:00:00+01:00")
def test_each_usual_page_is_as_few():
    assert len(statements(page(7200))) == STATEMENTS  # a new visitor
    assert len(statements(page(7100))) == STATEMENTS  # in the same visit
    assert len(statements(page(1000, referrer="https://search.example/"))) == STATEMENTS
    assert len(statements(page(900, user="7", session_key="s"))) == STATEMENTS
    with override_settings(TRACKING_PAGE_VIEWS=False):
        assert len(statements(page(800))) == 2
    assert Visitor.objects.get().page_views == 5
    assert sorted(Visit.objects.values_list("page_views", flat=True)) == [2, 3]
    assert PageView.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_beacon_is_one_statement_without_a_transaction(django_assert_num_queries):
    with django_assert_num_queries(1):
        write([Hit(kind=Kind.OPEN, user_agent=FIREFOX)])
    with django_assert_num_queries(5), transaction.atomic():
        write([Hit(kind=Kind.OPEN, user_agent=FIREFOX)])
    assert Beacon.objects.count() == 2


def test_the_statements_are_built_once(monkeypatch):
    write([page(2)])
    monkeypatch.setattr(one_page_view, "_visit_sql", None)
    write([page(1)])
    assert Visitor.objects.get().page_views == 2


# The rows.

urls = st.sampled_from(["/", "/tea/", "/tea/" + "x" * 600, "/caf\u00e9/\0"])
referrers = st.sampled_from(
    ["", "https://www.google.com/?q=tea", "https://blog.example/", "nowhere"]
)
addresses = st.sampled_from([None, "192.0.2.7", "2001:DB8::7", "::ffff:192.0.2.9"])
campaigns = st.sampled_from([{}, {"source": "letter", "medium": "email"}, {"term": "t" * 300}])
#: Minutes after the step before; some are before it, and some are the edge of a visit.
gaps = st.sampled_from([0, 0, 1 / 60_000, 1, 5, 12, 29.999, 30, 30.001, 61, 200, -1, -12, -31, -70])
steps = st.fixed_dictionaries(
    {
        "visitor": st.sampled_from(["anna", "anna", "ben"]),
        "gap": gaps,
        "url": urls,
        "referrer": referrers,
        "is_internal": st.booleans(),
        "campaign": campaigns,
        "session_key": st.sampled_from([None, "", "s1", "s2" * 30]),
        "user": st.sampled_from([None, None, "", "1", "2", "nobody"]),
        "ip_address": addresses,
        "has_cookie": st.booleans(),
        "previous_visitor": st.sampled_from([None, None, None, "old"]),
        "user_agent": st.sampled_from([FIREFOX, ROBOT, "", "x" * 600]),
    }
)
#: What else happens to the rows of a visitor.
events = st.sampled_from(["log out", "delete visitor", "delete visits", "again"])


def play(script, save):
    """Write the hits of a script one by one, each by ``save``."""
    at = datetime.fromisoformat("2026-03-01T22:50:00+01:00").astimezone(UTC)
    for number, step in enumerate(script):
        if isinstance(step, dict):
            values = dict(step)
            at = at + timedelta(minutes=values.pop("gap"))
            hit = PageHit(id=uuid.UUID(int=number + 1), time=min(at, timezone.now()), **values)
            save(hit)
        elif step == "log out":
            visitors.log_out("anna")
            Visitor.objects.filter(user_known_at__isnull=False).update(user_known_at=at)
        elif step == "delete visitor":
            Visitor.objects.filter(key="anna").delete()
        elif step == "delete visits":
            Visit.objects.filter(visitor_id="anna").delete()
        elif number and isinstance(script[number - 1], dict):
            save(hit)
    return rows()


def step(gap, **values):
    usual = {"visitor": "anna", "url": "/", "referrer": "", "user_agent": FIREFOX}
    return {**usual, "gap": gap, **values}


#: The visits of a visitor are deleted, and a page of the same microsecond begins another one.
SAME_MOMENT = [step(200), "delete visits", step(0, referrer="https://www.google.com/")]


@pytest.mark.moment(NIGHT)
@example(SAME_MOMENT)
@given(st.lists(steps | steps | steps | events, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rows_are_those_that_the_code_for_batches_writes(still_clock, script):
    def save_as_batch(hit):
        save_page_views([hit])

    def save_alone(hit):
        write([hit])

    forget()
    expected = play(script, save_as_batch)
    forget()
    assert play(script, save_alone) == expected
    forget()


@pytest.mark.moment("2026-03-02T12:00:00+01:00")
@pytest.mark.parametrize(
    "unusual",
    [
        lambda: page(50),  # earlier than the last page
        lambda: page(40_000),  # of yesterday
    ],
)
def test_what_is_unusual_changes_nothing(unusual):
    write([page(30, user="7")])
    before = rows()
    hit = unusual()
    assert not save_page_view(hit)
    assert rows() == before
    write([hit])
    assert Visitor.objects.get().page_views == 2


@pytest.mark.moment("2026-03-02T12:00:00+01:00")
def test_a_page_that_joins_two_visits():
    write([page(3_000)])
    write([page(60)])
    Visit.objects.filter(page_views=1, ended_at__lt=page(2_000).time).update(
        ended_at=page(1_000).time
    )
    hit = page(30)
    assert not save_page_view(hit)
    write([hit])
    assert Visit.objects.get().page_views == 3


@pytest.mark.moment("2026-03-02T00:40:00+01:00")
def test_a_visit_that_goes_on_after_midnight_is_noted():
    """The day of its first page is counted again."""
    write([page(2_700)])
    LateDay.objects.all().delete()
    write([page(1_200)])
    assert Visit.objects.get().page_views == 2
    assert str(LateDay.objects.get().day) == "2026-03-01"


def test_a_hit_that_is_delivered_twice_is_counted_once():
    hit = page(1)
    write([hit])
    before = rows()
    write([hit])
    assert rows() == before
    write([page(0)])
    write([hit])
    assert Visitor.objects.get().page_views == 2


def test_the_transaction_of_the_site_stays_usable():
    hit = page(1)
    with transaction.atomic():
        write([hit])
        write([hit])
        write([page(30)])
        assert Visitor.objects.get().page_views == 2
    assert Visit.objects.get().page_views == 2


def test_the_signal_is_sent_for_a_page(restore_receivers):
    heard = []
    visitor_seen.connect(lambda **kwargs: heard.append(kwargs), weak=False)
    write([page(2)])
    write([page(1)])
    write([page(30)])
    assert [(call["visitor"].page_views, call["page_views"]) for call in heard] == [
        (1, 1), (2, 1), (3, 1)
    ]  # fmt: skip


def test_a_user_is_kept_by_pages_that_have_not_asked():
    user = get_user_model().objects.create(username="anna")
    first, second = page(3, user=str(user.pk)), page(2)
    write([first])
    write([second])
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.logged_in_at) == (user, first.time)
    write([page(1, user="")])
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.logged_in_at) == (None, None)
    assert Visit.objects.get().user == user


# Two processes at the same moment.

BROWSE = """
import sys
import django
django.setup()
from tracking.hits import PageHit
from tracking.recording import write
print("ready", flush=True)
sys.stdin.readline()
for number in range(120):
    write([PageHit(visitor=f"visitor {number % 3}", url=f"/{number}/")])
"""


@pytest.mark.slow
def test_two_processes_write_pages_of_the_same_visitors(tmp_path):
    database = databases_apart.make()
    try:
        site = Site(tmp_path, database.settings)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes = [site.start("-c", BROWSE, **pipes) for _ in range(2)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert (process.returncode, errors) == (0, "")
        ask = database.ask
        assert sorted(ask(site, "SELECT page_views FROM tracking_visitor")) == [(80,)] * 3
        assert sorted(ask(site, "SELECT page_views FROM tracking_visit")) == [(80,)] * 3
        pages = ask(site, "SELECT visit_id, count(*) FROM tracking_pageview GROUP BY visit_id")
        assert [count for _, count in pages] == [80] * 3
    finally:
        database.drop()
