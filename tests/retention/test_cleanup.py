"""Rows that are older than the settings allow are deleted, in chunks."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, models, transaction
from django.db.models import ProtectedError
from django.db.models.fields.reverse_related import ManyToOneRel
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.site.models import Affiliate
from tests.support.aged_rows import beacons, counts, some_of_each, visitors, visits
from tests.support.concurrency import in_threads
from tracking import compat, retention
from tracking.db import chunks
from tracking.models import (
    BannedIP,
    Beacon,
    PageView,
    SharedValue,
    Source,
    Target,
    Visit,
    Visitor,
    WebhookMessage,
    WrittenBatch,
)
from tracking.retention import clean_up, cleanup, delete_chunk, setting_errors

pytestmark = pytest.mark.django_db

SETTINGS = {
    "visitor": "TRACKING_CLEANUP_TIMEOUT",
    "visit": "TRACKING_VISIT_RETENTION",
    "pageview": "TRACKING_PAGE_VIEW_RETENTION",
    "beacon": "TRACKING_BEACON_RETENTION",
}


@pytest.fixture(autouse=True)
def receipts_and_counts_are_kept(settings):
    """What is asked for below is what people look at."""
    settings.TRACKING_RECEIPT_RETENTION = None
    settings.TRACKING_SENT_MESSAGE_RETENTION = None
    settings.TRACKING_UNMATCHED_EVENT_RETENTION = None
    settings.TRACKING_WEBHOOK_RETENTION = None
    settings.TRACKING_DAILY_COUNT_RETENTION = None


@pytest.fixture
def now(monkeypatch):
    """The moment at which all of a test happens."""
    moment = timezone.now().replace(microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


def statements(queries, verb):
    return [query["sql"] for query in queries if query["sql"].startswith(verb)]


def test_what_leaves_by_default():
    for age in (timedelta(hours=25), timedelta(days=396), timedelta(days=761)):
        some_of_each(age)
    assert clean_up() == {"visitor": 9, "pageview": 12, "visit": 3}
    assert counts() == {"visitor": 0, "pageview": 6, "visit": 6, "beacon": 9}


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("visitor", timedelta(hours=24)),
        ("visit", timedelta(days=760)),
        ("pageview", timedelta(days=395)),
        ("beacon", timedelta(days=90)),
    ],
)
def test_a_limit_is_honoured_to_the_moment(name, limit, now, settings):
    settings.TRACKING_BEACON_RETENTION = 90
    one = {
        "visitor": lambda age: visitors(1, age)[0],
        "visit": lambda age: visits(1, age)[0],
        "pageview": lambda age: visits(1, timedelta(), pages=1, page_age=age)[0].pages.get(),
        "beacon": lambda age: beacons(1, age)[0],
    }[name]
    moment = timedelta(seconds=1)
    younger, exact, older = (one(limit + offset) for offset in (-moment, timedelta(), moment))
    assert clean_up()[name] == 2
    rows = type(younger).objects
    assert rows.filter(pk=younger.pk).exists()
    assert not rows.filter(pk__in=[exact.pk, older.pk]).exists()


def test_receipts_leave_after_a_week(settings, now):
    del settings.TRACKING_RECEIPT_RETENTION
    week, moment = timedelta(days=7), timedelta(seconds=1)
    for number, age in enumerate((timedelta(), week - moment, week, week + moment)):
        WrittenBatch.objects.create(id=uuid.UUID(int=number), time=now - age)
    assert clean_up()["receipt"] == 2
    assert {receipt.pk.int for receipt in WrittenBatch.objects.all()} == {0, 1}
    settings.TRACKING_RECEIPT_RETENTION = 0
    assert "TRACKING_RECEIPT_RETENTION is 0" in setting_errors()[0]


def test_messages_of_webhooks_leave_after_a_month(settings, now):
    del settings.TRACKING_WEBHOOK_RETENTION
    for days in (1, 29, 31):
        made = now - timedelta(days=days)
        WebhookMessage.objects.create(
            endpoint_id=1, created_at=made, expires_at=made, events=1, size=1, items="1"
        )
    assert clean_up()["webhookmessage"] == 1
    assert WebhookMessage.objects.count() == 2


def test_limits_are_settings_and_may_be_fractions(settings):
    settings.TRACKING_CLEANUP_TIMEOUT = 0.5
    settings.TRACKING_PAGE_VIEW_RETENTION = 2
    settings.TRACKING_VISIT_RETENTION = 3.5
    settings.TRACKING_BEACON_RETENTION = 7
    some_of_each(timedelta(minutes=20))
    some_of_each(timedelta(minutes=40))
    some_of_each(timedelta(days=3))
    some_of_each(timedelta(days=8))
    assert clean_up() == {"visitor": 9, "pageview": 12, "visit": 3, "beacon": 3}


@pytest.mark.parametrize("name", SETTINGS)
def test_none_keeps_a_table(name, settings):
    settings.TRACKING_BEACON_RETENTION = 30
    setattr(settings, SETTINGS[name], None)
    # Page views of visits that leave do so with them.
    settings.TRACKING_VISIT_RETENTION = None if name == "pageview" else 30
    setattr(settings, SETTINGS[name], None)
    some_of_each(timedelta(days=1000))
    before = counts()
    assert name not in clean_up()
    assert counts()[name] == before[name] > 0


def test_nothing_of_other_tables_leaves(settings):
    for name in SETTINGS.values():
        setattr(settings, name, 1)
    long_ago = timezone.now() - timedelta(days=1000)
    Affiliate.objects.create(name="A")
    SharedValue.objects.create(name="old", changed_at=long_ago)
    BannedIP.objects.create(network="192.0.2.7", created_at=long_ago)
    Target.objects.create(name="T", url="/", expires_at=long_ago)
    Source.objects.create(name="S", slug="s")
    some_of_each(timedelta(days=1000))
    others = [
        *(model.objects for model in (Affiliate, BannedIP, Target, Source)),
        SharedValue.objects.exclude(name__startswith="gone "),  # until when rows have left
    ]
    before = [list(rows.order_by("pk").values()) for rows in others]
    assert all(before)
    with CaptureQueriesContext(connection) as queries:
        clean_up()
    assert counts() == dict.fromkeys(counts(), 0)
    tables = {re.split(r"[`\"]", sql)[1] for sql in statements(queries, "DELETE")}
    assert tables == {model._meta.db_table for model in (Visitor, Visit, PageView, Beacon)}
    assert [list(rows.order_by("pk").values()) for rows in others] == before


def test_visits_and_beacons_outlive_their_visitor():
    [visitor] = visitors(1, timedelta(days=2))
    visits(1, timedelta(days=2))
    Visit.objects.update(visitor_id=visitor.key)
    beacons(1, timedelta(days=2))
    Beacon.objects.update(visitor_id=visitor.key)
    assert clean_up()["visitor"] == 1
    assert Visit.objects.get().visitor_id == Beacon.objects.get().visitor_id == visitor.key


def test_a_visit_takes_page_views_with_it_that_are_younger_than_their_own_limit():
    visits(3, timedelta(days=800), pages=3, page_age=timedelta(days=10))
    visits(2, timedelta(days=10), pages=2)
    assert clean_up(tables=["visit"]) == {"visit": 3, "pageview": 9}
    assert counts()["pageview"] == 4


@pytest.mark.parametrize(
    ("make", "column"), [(visitors, "last_update"), (visits, "ended_at")], ids=["visitor", "visit"]
)
def test_who_comes_back_meanwhile_stays(make, column, monkeypatch):
    [back, _gone] = make(2, timedelta(days=1000))
    rows = type(back).objects
    oldest = cleanup._ExpiredRows.oldest_keys

    def oldest_and_then_one_comes_back(self, limit):
        keys = oldest(self, limit)
        if back.pk in keys:
            rows.filter(pk=back.pk).update(**{column: timezone.now()})
        return keys

    monkeypatch.setattr(cleanup._ExpiredRows, "oldest_keys", oldest_and_then_one_comes_back)
    assert sum(clean_up().values()) == 1
    assert rows.get() == back


def test_only_the_tables_asked_for():
    some_of_each(timedelta(days=1000))
    assert clean_up(tables=["visitor"]) == {"visitor": 3}
    assert counts() == {"visitor": 0, "visit": 3, "pageview": 6, "beacon": 3}
    with pytest.raises(ValueError, match="no table 'user': choose from visitor, pageview"):
        clean_up(tables=["visitor", "user"])


@pytest.mark.parametrize("tables", [None, ["visit"], ["pageview"], ["visit", "pageview"]])
def test_a_dry_run_counts_what_a_run_deletes(tables):
    some_of_each(timedelta(days=1))
    some_of_each(timedelta(days=400))
    some_of_each(timedelta(days=800))
    visits(2, timedelta(days=800), pages=2, page_age=timedelta(days=1))
    before = counts()
    with CaptureQueriesContext(connection) as queries:
        foretold = clean_up(dry_run=True, tables=tables)
    assert not statements(queries, "DELETE")
    assert counts() == before
    assert clean_up(tables=tables) == foretold
    assert clean_up(tables=tables, dry_run=True) == dict.fromkeys(foretold, 0)


def test_a_dry_run_counts_a_page_view_at_its_limit_once(now):
    visits(1, timedelta(days=800), pages=1, page_age=timedelta(days=395))
    assert clean_up(dry_run=True) == clean_up() == {"visitor": 0, "pageview": 1, "visit": 1}


def test_naive_times(settings):
    settings.USE_TZ = False
    long_ago = timezone.now() - timedelta(hours=25)
    assert timezone.is_naive(long_ago)
    Visitor.objects.create(last_update=long_ago)
    Visitor.objects.create()
    assert clean_up()["visitor"] == 1


def test_a_chunk_is_bounded_and_takes_the_oldest_first():
    ages = [timedelta(days=days) for days in (5, 9, 7, 3)]
    by_age = {age: visitors(1, age)[0] for age in ages}
    assert delete_chunk(2) == {"visitor": 2}
    assert set(Visitor.objects.all()) == {by_age[ages[0]], by_age[ages[3]]}
    assert delete_chunk(2) == {"visitor": 2}
    assert delete_chunk(2) == {}


def test_a_chunk_goes_on_to_the_next_table_with_what_is_left_of_it(monkeypatch, settings):
    monkeypatch.setattr(cleanup, "wall_clock", lambda: 0.0)  # the first table has the turn
    settings.TRACKING_BEACON_RETENTION = 30
    visitors(3, timedelta(days=2))
    visits(2, timedelta(days=800), pages=2)
    beacons(5, timedelta(days=31))
    assert delete_chunk(5) == {"visitor": 3, "pageview": 2}
    assert delete_chunk(5) == {"pageview": 2, "visit": 2, "beacon": 1}
    assert delete_chunk(5) == {"beacon": 4}


def test_page_views_of_a_visit_leave_in_chunks_too():
    visits(2, timedelta(days=800), pages=25, page_age=timedelta(days=1))
    chunks = []
    while chunk := delete_chunk(20):
        chunks.append(chunk)
    assert chunks == [{"pageview": 20}, {"pageview": 20}, {"pageview": 10, "visit": 2}]


def test_rows_are_deleted_by_bounded_statements_without_being_read():
    visitors(2_300, timedelta(days=2))
    so_far = []
    with CaptureQueriesContext(connection) as queries:
        clean_up(chunk=1_000, progress=lambda removed: so_far.append(dict(removed)["visitor"]))
    deletes = statements(queries, "DELETE")
    # 1,000 keys are two statements each, because SQLite takes 999 parameters.
    assert [sql.count(",") + 1 for sql in deletes] == [500, 500, 500, 500, 300]
    assert so_far == [1_000, 2_000, 2_300]
    assert not Visitor.objects.exists()
    for sql in statements(queries, "SELECT"):
        assert "LIMIT" in sql
        assert "user_agent" not in sql


def test_visits_and_their_page_views_are_not_read_either():
    visits(1_200, timedelta(days=800), pages=1)
    with CaptureQueriesContext(connection) as queries:
        assert clean_up(chunk=1_000) == {"visitor": 0, "visit": 1_200, "pageview": 1_200}
    assert len(statements(queries, "DELETE")) == 6
    assert not [sql for sql in statements(queries, "SELECT") if "url" in sql]


@pytest.mark.parametrize("chunk", [1, 7, 998, 5_000])
def test_any_size_of_chunk(chunk):
    visits(30, timedelta(days=800), pages=2, page_age=timedelta(days=1))
    visitors(1_100 if chunk > 900 else 20, timedelta(days=2))
    removed = clean_up(chunk=chunk)
    assert (removed["visit"], removed["pageview"]) == (30, 60)
    assert counts() == dict.fromkeys(counts(), 0)


@pytest.mark.parametrize("chunk", [0, -1])
def test_a_chunk_of_nothing_is_refused(chunk):
    with pytest.raises(ValueError, match="at least 1"):
        clean_up(chunk=chunk)


def test_it_rests_after_each_chunk(monkeypatch):
    rests = []
    monkeypatch.setattr(cleanup, "sleep", rests.append)
    visitors(3, timedelta(days=2))
    clean_up(chunk=1, pause=0.25)
    assert rests == [0.25] * 3


@pytest.mark.django_db(transaction=True)
def test_each_chunk_is_a_transaction_of_its_own():
    visitors(3, timedelta(days=2))

    def fail_after_two(removed):
        assert not connection.in_atomic_block
        if removed["visitor"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean_up(chunk=1, progress=fail_after_two)
    assert Visitor.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_chunk_of_several_statements_is_one_transaction(monkeypatch):
    monkeypatch.setattr(chunks, "KEYS_PER_QUERY", 2)
    delete, deleted = compat.delete_rows_only, []

    def fail_at_the_second(rows):
        if deleted:
            raise KeyboardInterrupt
        deleted.append(delete(rows))
        return deleted[0]

    visitors(3, timedelta(days=2))
    monkeypatch.setattr(compat, "delete_rows_only", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert deleted == [2]
    assert Visitor.objects.count() == 3


def test_locks_are_taken_in_one_order(monkeypatch):
    monkeypatch.setattr(chunks, "KEYS_PER_QUERY", 1)
    keys = [visitors(1, timedelta(days=age))[0].pk for age in (5, 9, 7)]
    with CaptureQueriesContext(connection) as queries:
        clean_up()
    deletes = statements(queries, "DELETE")
    assert [int(re.search(r"IN \((\d+)\)", sql)[1]) for sql in deletes] == sorted(keys)


@pytest.mark.django_db(transaction=True)
def test_a_long_clean_up_refuses_to_be_one_transaction_but_a_chunk_may_be_part_of_one():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        clean_up()
    visitors(2, timedelta(days=2))
    with transaction.atomic():
        assert delete_chunk(1) == {"visitor": 1}
    assert Visitor.objects.count() == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the words of SQLite's planner")
def test_not_a_delete_on_every_request_over_an_unindexed_column(settings):
    """The predecessor's: old rows are found by an index, and deleted by their keys."""
    settings.TRACKING_BEACON_RETENTION = 30
    some_of_each(timedelta(days=1000))
    with CaptureQueriesContext(connection) as queries:
        clean_up()
    plans = {}
    for sql in statements(queries, "SELECT") + statements(queries, "DELETE"):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plans[sql] = " ".join(row[-1] for row in cursor.fetchall())
    assert len(plans) >= 8
    for sql, plan in plans.items():
        assert "SCAN" not in plan, sql
        assert "SEARCH tracking_" in plan, sql
        assert "TEMP B-TREE" not in plan, sql
    used = " ".join(plans.values())
    for index in ("visitor_update", "visit_ended", "pageview_time", "beacon_time"):
        assert f"INDEX tracking_{index}" in used


def test_each_minute_begins_with_another_table(monkeypatch):
    settings_tables = [
        name for name, table in retention.TABLES.items() if table.max_age is not None
    ]
    first = set()
    for minute in range(len(settings_tables)):
        some_of_each(timedelta(days=1000))
        monkeypatch.setattr(cleanup, "wall_clock", lambda minute=minute: minute * 60.0)
        (name,) = delete_chunk(1)
        first.add(name)
    assert len(first) > 1


def test_a_row_that_the_site_protects_stops_no_other(caplog):
    """Foreign keys with PROTECT raise the same error as this receiver."""
    some_of_each(timedelta(days=1000))
    kept = Visitor.objects.earliest("pk")

    def protect(instance, **kwargs):
        if instance.pk == kept.pk:
            raise ProtectedError("Orders of the site refer to it.", {instance})

    pre_delete.connect(protect, sender=Visitor)
    try:
        assert clean_up(chunk=2)["visitor"] == 2
        assert clean_up(chunk=1)["visitor"] == 0
    finally:
        pre_delete.disconnect(protect, sender=Visitor)
    assert list(Visitor.objects.all()) == [kept]
    assert not Visit.objects.exists()
    assert "Orders of the site" in caplog.text


@pytest.mark.parametrize("signal", [pre_delete, post_delete])
@pytest.mark.parametrize("model", [Visitor, Visit, PageView, Beacon])
def test_receivers_of_the_site_hear_of_each_row(model, signal, settings):
    settings.TRACKING_BEACON_RETENTION = 30
    heard = []

    def receiver(instance, **kwargs):
        heard.append(instance.pk)

    some_of_each(timedelta(days=1000))
    keys = set(model.objects.values_list("pk", flat=True))
    signal.connect(receiver, sender=model)
    try:
        removed = clean_up(chunk=2)
    finally:
        signal.disconnect(receiver, sender=model)
    assert set(heard) == keys
    assert len(heard) == len(keys)
    assert removed == {"visitor": 3, "pageview": 6, "visit": 3, "beacon": 3}


@pytest.mark.parametrize(
    ("on_delete", "ordinary"), [(models.CASCADE, True), (models.DO_NOTHING, False)]
)
def test_the_site_s_foreign_keys_are_heeded(on_delete, ordinary, monkeypatch):
    class Field:
        name = attname = "visitor"
        related_query_name = None

    field = models.ForeignKey(Visitor, on_delete)
    relation = ManyToOneRel(field, Visitor, "id", on_delete=on_delete)
    field.model = relation.related_model = Affiliate
    fields = [*Visitor._meta.get_fields(include_hidden=True), relation]
    monkeypatch.setattr(Visitor._meta, "get_fields", lambda **kwargs: fields)
    assert cleanup._needs_collector(Visitor) is ordinary


def test_without_rules_of_the_site_none_of_our_tables_is_read():
    for table in retention.TABLES.values():
        assert not cleanup._needs_collector(table.model)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "value", [0, -1, "24", True, float("nan"), float("inf"), 10**9, timedelta(days=1), []]
)
def test_a_setting_without_sense_deletes_nothing(name, value, settings):
    some_of_each(timedelta(days=1000))
    before = counts()
    setattr(settings, SETTINGS[name], value)
    for function in (clean_up, delete_chunk, lambda: clean_up(dry_run=True)):
        with pytest.raises(ValueError, match=f"{SETTINGS[name]} is .*or None to keep all"):
            function()
    assert counts() == before
    [problem] = setting_errors()
    assert problem.startswith(f"{SETTINGS[name]} is {value!r}: give a number of ")


def test_settings_that_make_sense(settings):
    assert setting_errors() == []
    for name in SETTINGS.values():
        setattr(settings, name, 36_500)
    assert setting_errors() == []
    assert clean_up() == dict.fromkeys(SETTINGS, 0)


SERVERS_ONLY = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="in memory there is one connection at a time"
)


@SERVERS_ONLY
@pytest.mark.django_db(transaction=True)
def test_several_may_clean_up_at_the_same_time(settings):
    settings.TRACKING_BEACON_RETENTION = 30
    visitors(1_500, timedelta(days=2))
    visits(500, timedelta(days=800), pages=3, page_age=timedelta(days=400))
    beacons(1_500, timedelta(days=31))
    stay = visitors(5, timedelta(hours=1))
    results = in_threads(*[lambda: clean_up(chunk=50)] * 4)
    together = {name: sum(result[name] for result in results) for name in SETTINGS}
    assert together == {"visitor": 1_500, "pageview": 1_500, "visit": 500, "beacon": 1_500}
    assert counts() == {"visitor": len(stay), "visit": 0, "pageview": 0, "beacon": 0}


@SERVERS_ONLY
@pytest.mark.django_db(transaction=True)
def test_writers_go_on_while_old_rows_leave():
    visitors(1_000, timedelta(days=2))

    def write():
        for _ in range(100):
            visitors(1, timedelta(hours=1))
        return {}

    in_threads(write, write, lambda: clean_up(chunk=50), lambda: clean_up(chunk=50))
    assert Visitor.objects.count() == 200


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_the_database_gives_up_for_another_is_done_again(monkeypatch):
    visitors(3, timedelta(days=2))
    delete, failures = compat.delete_rows_only, [OperationalError(1213, "Deadlock found")] * 2

    def fail_twice(rows):
        if failures:
            raise failures.pop()
        return delete(rows)

    monkeypatch.setattr(compat, "delete_rows_only", fail_twice)
    assert clean_up()["visitor"] == 3
    assert not failures


def test_eight_pages_a_second_without_cookie_do_not_outrun_the_turns():
    """Each is a visitor, a visit and a page view: 1,440 rows a minute, 500 were deleted."""
    arriving, turns = 480, 12
    waiting = []
    for _ in range(turns):
        visitors(arriving, timedelta(days=4000))
        visits(arriving, timedelta(days=4000), pages=1)
        delete_chunk(cleanup.grow_with_backlog(500))
        waiting.append(sum(counts().values()))
    assert waiting[-1] - waiting[-2] < arriving / 4
    assert waiting[-1] <= 3 * arriving * cleanup.BACKLOG_TURNS


def test_a_turn_does_not_grow_beyond_its_bound(monkeypatch):
    monkeypatch.setattr(cleanup, "MAX_TURN", 20)
    visitors(150, timedelta(days=4000))
    assert cleanup.grow_with_backlog(5) == 20
    assert cleanup.grow_with_backlog(50) == 50


def test_a_large_turn_deletes_in_short_transactions(monkeypatch):
    monkeypatch.setattr(cleanup, "CHUNK_SIZE", 10)
    visitors(35, timedelta(days=4000))
    with CaptureQueriesContext(connection) as queries:
        assert delete_chunk(32) == {"visitor": 32}
    assert len(statements(queries, "DELETE")) == 4
