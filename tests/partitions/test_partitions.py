import re
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support import partitioned
from tests.support.concurrency import together
from tracking import partitions, retention
from tracking.hits import Hit, Kind, PageHit, Reference, uuid7
from tracking.models import Beacon, PageView, Visit
from tracking.partitions import Busy, Unsuitable, conversion, definition, locks, upkeep
from tracking.partitions.months import Month, between, moment_of
from tracking.recording import write

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="parts are for PostgreSQL"
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def calendar(monkeypatch):
    """A calendar that is moved by hand: ``calendar[0]`` is now."""
    today = [NOW]
    monkeypatch.setattr(timezone, "now", lambda: today[0])
    return today


def key_of(moment):
    """A key that is made at some moment."""
    random = uuid7().int & ((1 << 80) - 1)
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80 | random)


def hit_at(moment, **values):
    return Hit(kind=Kind.OPEN, id=key_of(moment), time=moment, **values)


def history():
    """A hit on the tenth of each of the twelve months before this one, and two of today."""
    months = list(between(Month(2025, 11), Month(2026, 10)))
    hits = [hit_at(month.start + timedelta(days=9)) for month in months]
    return [*hits, hit_at(NOW), hit_at(NOW)]


def rows_by_part(model=Beacon):
    name = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text, count(*) FROM {name} GROUP BY 1")
        found = dict(cursor.fetchall())
    prefix = f"{model._meta.db_table}_"
    return {part.removeprefix(prefix): number for part, number in found.items()}


def parts_of(model=Beacon):
    prefix = f"{model._meta.db_table}_"
    known = partitions.layout(model, "default").partitions
    return [part.name.removeprefix(prefix) for part in known]


def convert(**options):
    partitions.convert(Beacon, "default", **options)


def definition_of(model):
    found = definition.Definition.of(connection, model._meta.db_table)
    return found._replace(
        index_names=sorted(name for _, name in found.index_names), indexes=sorted(found.indexes)
    )


# Months and their keys.


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_every_key_is_in_the_month_of_its_moment(moment):
    month = Month.of(moment)
    assert month.first_key <= key_of(moment) < month.next.first_key
    assert month.start <= moment < month.next.start
    assert moment_of(month.first_key) == month.start


@given(st.uuids())
def test_a_key_of_any_version_has_a_moment_or_none(key):
    moment = moment_of(key)
    assert moment is None or Month.of(moment).first_key <= key


def test_months_follow_each_other_over_the_year():
    months = Month(2026, 11).following(3)
    assert months == [Month(2026, 11), Month(2026, 12), Month(2027, 1), Month(2027, 2)]
    assert list(between(Month(2026, 11), Month(2027, 2))) == months


# Elsewhere.


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor == "postgresql", reason="what other databases say")
@pytest.mark.parametrize("options", [[], ["--convert", "--yes"], ["--undo", "--yes"]])
def test_the_command_is_for_postgresql_only_and_says_so(options):
    with pytest.raises(CommandError, match="for PostgreSQL only, and tracking_beacon is in"):
        call_command("tracking_partition", *options)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor == "postgresql", reason="what other databases do")
def test_elsewhere_the_clean_up_asks_nothing_about_parts(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert partitions.keep_ahead() == {}
        assert partitions.drop_past(Beacon, "time", NOW, "default") == 0


# A table is turned into parts.


@on_postgresql
@pytest.mark.django_db
def test_rows_stay_and_later_ones_go_into_their_months(calendar):
    hits = history()
    write(hits)
    convert()
    assert parts_of() == ["earlier", "2026_12", "2027_01", "2027_02", "default"]
    assert rows_by_part() == {"earlier": 14}
    later = [hit_at(NOW + timedelta(days=days)) for days in (1, 10, 40, 400)]
    assert len(write([*hits, *later])) == 4
    # The 22nd, the 1st of December, the last of it, and a day of the year after next.
    assert rows_by_part() == {"earlier": 15, "2026_12": 2, "default": 1}
    assert write([*hits, *later]) == []
    assert set(Beacon.objects.values_list("pk", flat=True)) == {hit.id for hit in [*hits, *later]}


@on_postgresql
@pytest.mark.django_db
def test_rows_are_copied_into_their_months_if_asked_for(calendar):
    hits = history()
    write(hits)
    before = list(Beacon.objects.order_by("pk").values())
    convert(rewrite=True)
    found = rows_by_part()
    assert (len(found), found["2025_11"], found["2026_10"], found["2026_11"]) == (13, 1, 1, 2)
    assert list(Beacon.objects.order_by("pk").values()) == before
    assert parts_of()[-5:] == ["2026_11", "2026_12", "2027_01", "2027_02", "default"]


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("rewrite", [True, False])
def test_keys_that_were_made_in_another_way_are_kept(calendar, rewrite):
    keys = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), *(uuid.uuid4() for _ in range(50))]
    Beacon.objects.bulk_create(Beacon(pk=key, kind="open", time=NOW) for key in keys)
    convert(rewrite=rewrite)
    assert set(Beacon.objects.values_list("pk", flat=True)) == set(keys)
    with pytest.raises(IntegrityError), transaction.atomic():
        Beacon.objects.create(pk=keys[-1], kind="open")
    Beacon.objects.create(pk=uuid.uuid4(), kind="open")
    assert rows_by_part()["default"] > 0


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("model", partitions.TABLES.values())
@pytest.mark.parametrize("rewrite", [True, False])
def test_there_and_back_the_table_is_the_same(model, rewrite, calendar):
    write([*history(), PageHit(visitor="anna", url="/", time=NOW)])
    rows = list(model.objects.order_by("pk").values())
    before = definition_of(model)
    partitions.convert(model, "default", rewrite=rewrite)
    assert rows
    between = definition_of(model)
    assert (between.constraints, between.index_names) == (before.constraints, before.index_names)
    partitions.undo(model, "default")
    assert definition_of(model) == before
    assert list(model.objects.order_by("pk").values()) == rows
    assert not partitions.layout(model, "default").is_partitioned


@on_postgresql
@pytest.mark.django_db
def test_who_may_use_the_table_may_use_it_in_parts(calendar):
    role = f"reader_{connection.settings_dict['NAME']}"[:60]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(f"GRANT SELECT, INSERT ON tracking_beacon TO {role}")
        convert()
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute("SELECT count(*) FROM tracking_beacon")
        assert cursor.fetchone() == (0,)
        cursor.execute("RESET ROLE")
        cursor.execute("SELECT has_table_privilege(%s, 'tracking_beacon', 'DELETE')", [role])
        assert cursor.fetchone() == (False,)


@on_postgresql
@pytest.mark.django_db
@isolate_apps("tests.site")
def test_foreign_keys_of_the_site_go_along(calendar):
    class Note(models.Model):
        beacon = models.ForeignKey(Beacon, on_delete=models.CASCADE, related_name="+")

        class Meta:
            app_label = "site"

    with connection.schema_editor() as editor:
        editor.create_model(Note)
    [beacon] = write([hit_at(NOW)])
    Note.objects.create(beacon_id=beacon.pk)

    def refer_to_nothing():
        with transaction.atomic():
            Note.objects.create(beacon_id=uuid7())
            connection.check_constraints()

    for change in (convert, lambda: partitions.undo(Beacon, "default"), convert):
        change()
        with pytest.raises(IntegrityError, match="foreign key"):
            refer_to_nothing()


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE VIEW clicks AS SELECT id FROM tracking_beacon", "the view clicks"),
        (
            "CREATE TRIGGER mine BEFORE UPDATE ON tracking_beacon FOR EACH ROW EXECUTE FUNCTION f",
            "the trigger mine",
        ),
        ("CREATE POLICY mine ON tracking_beacon", "the policy mine"),
        ("GRANT SELECT (id) ON tracking_beacon TO PUBLIC", "permissions on the column id"),
        ("CREATE TABLE child () INHERITS (tracking_beacon)", "the table child"),
    ],
)
def test_what_could_not_go_along_is_told(statement, name):
    with connection.cursor() as cursor:
        cursor.execute(re.sub("f$", "suppress_redundant_updates_trigger()", statement))
    with pytest.raises(Unsuitable, match=name):
        convert()
    assert not partitions.layout(Beacon, "default").is_partitioned


@on_postgresql
@pytest.mark.django_db
def test_a_table_that_the_site_has_in_other_parts_is_left_alone(calendar):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tracking_beacon RENAME TO before")
        cursor.execute(
            "CREATE TABLE tracking_beacon (LIKE before INCLUDING DEFAULTS) PARTITION BY HASH (id)"
        )
    with pytest.raises(Unsuitable, match=r"HASH \(id\)"):
        convert()
    assert retention._drop_parts(retention._all_old(["pageview"])["pageview"]) == 0


@on_postgresql
@pytest.mark.django_db
def test_later_migrations_go_on_working(calendar):
    write(history())
    convert()
    field = models.CharField(max_length=9, default="none", db_index=True)
    field.set_attributes_from_name("later")
    field.model = Beacon
    index = models.Index(fields=["browser", "time"], name="tracking_beacon_later")
    known = Beacon._meta.indexes[0]
    with connection.schema_editor() as editor:
        editor.add_field(Beacon, field)
        editor.add_index(Beacon, index)
        editor.remove_index(Beacon, known)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT later FROM tracking_beacon")
        assert cursor.fetchall() == [("none",)]
        names = connection.introspection.get_constraints(cursor, "tracking_beacon")
    assert index.name in names
    assert known.name not in names
    longer, key = models.CharField(max_length=40), Beacon._meta.get_field("source_type")
    longer.set_attributes_from_name("kind")
    longer.model = Beacon
    other = models.ForeignKey(
        ContentType, models.SET_NULL, null=True, db_index=False, db_constraint=not key.db_constraint
    )
    other.set_attributes_from_name("source_type")
    other.model = Beacon
    with connection.schema_editor() as editor:
        editor.alter_field(Beacon, Beacon._meta.get_field("kind"), longer)
        editor.alter_field(Beacon, key, other)
        editor.remove_field(Beacon, field)
    assert partitions.add_ahead(Beacon, "default", ahead=5) == [
        "tracking_beacon_2027_03",
        "tracking_beacon_2027_04",
    ]
    assert len(write([Hit(kind="a kind of more than twenty characters")])) == 1


# Months come.


@on_postgresql
@pytest.mark.django_db
def test_a_month_gets_its_part_in_time_and_its_rows_from_the_default_one(calendar):
    convert(ahead=1)
    early = [hit_at(datetime(2027, 2, day, tzinfo=UTC)) for day in (1, 28)]
    later = hit_at(datetime(2027, 3, 1, tzinfo=UTC))
    write([*early, later])
    assert rows_by_part() == {"default": 3}
    assert partitions.add_ahead(Beacon, "default", ahead=1) == []
    calendar[0] = datetime(2027, 1, 31, 23, tzinfo=UTC)
    made = partitions.add_ahead(Beacon, "default", ahead=1)
    assert made == ["tracking_beacon_2027_01", "tracking_beacon_2027_02"]
    assert rows_by_part() == {"2027_02": 2, "default": 1}
    assert write([*early, later]) == []


@on_postgresql
@pytest.mark.django_db
def test_the_task_and_a_second_run_make_what_is_missing_and_no_more(calendar):
    pytest.importorskip("celery")
    from tracking import tasks

    partitioned.convert_all()
    calendar[0] += timedelta(days=31)
    tasks.partition()
    assert parts_of(PageView)[-2:] == ["2027_03", "default"]
    assert partitions.keep_ahead() == {"beacon": [], "pageview": []}


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_many_who_make_the_same_month_make_one(calendar):
    convert(ahead=1)
    made = []
    try:
        failures = together(4, lambda: made.extend(partitions.add_ahead(Beacon, "default")))
        assert failures == []
        assert sorted(made) == ["tracking_beacon_2027_01", "tracking_beacon_2027_02"]
    finally:
        partitioned.undo_all()


# Months leave.


@on_postgresql
@pytest.mark.django_db
def test_whole_months_leave_without_a_delete(calendar, settings):
    settings.TRACKING_BEACON_RETENTION = 200  # since 2026-05-05 12:00
    write(history())
    convert(rewrite=True)
    with CaptureQueriesContext(connection) as queries:
        assert retention.clean_up(tables=["beacon"]) == {"beacon": 6}
    assert [q for q in queries if q["sql"].startswith("DELETE")] == []
    assert parts_of()[0] == "2026_05"
    assert Beacon.objects.count() == 8
    settings.TRACKING_BEACON_RETENTION = 190  # since 2026-05-15: the month is not over
    assert retention.clean_up(tables=["beacon"]) == {"beacon": 1}
    assert (parts_of()[0], Beacon.objects.count()) == ("2026_05", 7)


@on_postgresql
@pytest.mark.django_db
def test_what_was_the_whole_table_leaves_when_all_of_it_is_old(calendar, settings):
    settings.TRACKING_BEACON_RETENTION = 30
    write(history())
    convert()
    assert retention.clean_up(tables=["beacon"]) == {"beacon": 12}
    assert parts_of()[0] == "earlier"
    calendar[0] = datetime(2027, 1, 1, tzinfo=UTC)
    assert retention.clean_up(tables=["beacon"]) == {"beacon": 2}
    assert parts_of()[0] == "2026_12"


@on_postgresql
@pytest.mark.django_db
def test_a_month_stays_as_long_as_a_row_of_it_is_young(calendar, settings):
    settings.TRACKING_BEACON_RETENTION = 200
    write(history())
    convert(rewrite=True)
    old_key = key_of(datetime(2026, 1, 20, tzinfo=UTC))
    Beacon.objects.create(pk=old_key, kind="open", time=NOW)
    assert retention.clean_up(tables=["beacon"]) == {"beacon": 6}
    assert parts_of()[0] == "2026_01"
    assert Beacon.objects.filter(pk=old_key).exists()


@on_postgresql
@pytest.mark.django_db
def test_a_row_that_comes_while_its_month_is_dropped_stays(calendar):
    write(history())
    convert(rewrite=True)
    old_key = key_of(datetime(2026, 1, 20, tzinfo=UTC))
    [part] = [
        part
        for part, _ in partitions.past(Beacon, "time", NOW - timedelta(days=200), "default")
        if part.name.endswith("2026_01")
    ]
    Beacon.objects.create(pk=old_key, kind="open", time=NOW)

    def drop():
        arguments = (Beacon, "time", NOW - timedelta(days=200), "default", part, 1)
        return locks.patiently("default", lambda: upkeep._drop(*arguments))

    assert drop() == 0
    Beacon.objects.filter(pk=old_key).delete()
    assert drop() == 1
    assert drop() == 0


@on_postgresql
@pytest.mark.django_db
def test_receivers_of_the_site_hear_of_each_row_in_spite_of_parts(calendar, settings):
    settings.TRACKING_BEACON_RETENTION = 200
    write(history())
    convert(rewrite=True)
    heard = []

    def receiver(instance, **kwargs):
        heard.append(instance.pk)

    models.signals.pre_delete.connect(receiver, sender=Beacon)
    try:
        assert retention.clean_up(tables=["beacon"]) == {"beacon": 6}
    finally:
        models.signals.pre_delete.disconnect(receiver, sender=Beacon)
    assert len(heard) == 6
    assert "2025_11" in parts_of()


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("use_tz", [True, False])
def test_page_views_leave_by_months_too(calendar, settings, use_tz, monkeypatch):
    settings.USE_TZ = use_tz
    if not use_tz:
        monkeypatch.setattr(timezone, "now", lambda: timezone.make_naive(NOW))
    settings.TRACKING_PAGE_VIEW_RETENTION = 20
    months = list(between(Month(2026, 6), Month(2026, 10)))
    write([PageHit(visitor="anna", url="/", time=m.start, id=key_of(m.start)) for m in months])
    partitions.convert(PageView, "default", rewrite=True)
    assert retention.clean_up(tables=["pageview"]) == {"pageview": 5}
    assert parts_of(PageView)[0] == "2026_11"
    assert Visit.objects.count() == 5


# Others are at work.


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rewrite", [True, False])
def test_nothing_is_lost_that_is_written_meanwhile(rewrite):
    affiliate = Affiliate.objects.create(name="A")
    source = Reference.to(affiliate)
    sent, stop = [], threading.Event()

    def deliver():
        while not stop.is_set():
            hits = [Hit(kind=Kind.OPEN, source=source) for _ in range(20)]
            assert len(write(hits)) == len(hits)
            sent.extend(hit.id for hit in hits)

    def change():
        try:
            convert(rewrite=rewrite)
            partitions.undo(Beacon, "default")
            convert(rewrite=not rewrite)
        finally:
            stop.set()

    work = iter([deliver, deliver, change])
    guard = threading.Lock()

    def one():
        with guard:
            mine = next(work)
        mine()

    try:
        assert together(3, one) == []
        assert partitions.layout(Beacon, "default").is_partitioned
        assert sorted(Beacon.objects.values_list("pk", flat=True)) == sorted(sent)
        assert len(sent) > 100
    finally:
        partitioned.undo_all()


@pytest.fixture
def another():
    """A second connection to the same database, in a transaction of its own."""
    second = connections.create_connection("default")
    second.set_autocommit(False)
    yield second
    second.rollback()
    second.close()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_who_reads_for_long_is_waited_for_a_while_and_nothing_is_changed(another, monkeypatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 30)
    monkeypatch.setattr(locks, "ATTEMPTS", 2)
    monkeypatch.setattr(locks, "REST", 0.01)
    before = definition_of(Beacon)
    check_before = conversion._check_before

    def then_a_report_begins(*args):
        check_before(*args)
        with another.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_beacon")

    monkeypatch.setattr(conversion, "_check_before", then_a_report_begins)
    # What takes the check away again finds the reader gone.
    forget = conversion.forget_check

    def after_the_report(*args):
        another.rollback()
        forget(*args)

    monkeypatch.setattr(conversion, "forget_check", after_the_report)
    with pytest.raises(Busy):
        convert()
    assert definition_of(Beacon) == before


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_clean_up_goes_on_by_rows_where_a_part_is_held(another, monkeypatch, settings, caplog):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 30)
    monkeypatch.setattr(locks, "ATTEMPTS", 1)
    settings.TRACKING_BEACON_RETENTION = 200
    write([hit_at(timezone.now() - timedelta(days=300))])
    convert(rewrite=True)
    try:
        with another.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_beacon")
        assert retention.clean_up(tables=["beacon"]) == {"beacon": 1}
        assert "No part of tracking_beacon could be dropped" in caplog.text
        another.rollback()
        assert retention.clean_up(tables=["beacon"]) == {"beacon": 0}
        assert len(parts_of()) == 5
    finally:
        partitioned.undo_all()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_not_inside_of_a_transaction_of_the_site():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        convert()
    assert not partitions.layout(Beacon, "default").is_partitioned


# The list in the admin.


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?kind__exact=open", "?source=site.affiliate:1"])
def test_the_list_of_beacons_reads_no_part_whole(admin_client, query, calendar):
    write([*history(), hit_at(NOW, source=Reference("site.affiliate", "1"))])
    convert(rewrite=True)
    with CaptureQueriesContext(connection) as queries:
        assert admin_client.get("/admin/tracking/beacon/" + query).status_code == 200
    statements = [
        q["sql"]
        for q in queries
        if q["sql"].startswith("SELECT")
        and 'FROM "tracking_beacon"' in q["sql"]
        and "COUNT" not in q["sql"]
    ]
    assert statements
    with connection.cursor() as cursor:
        # Tables as small as these are read whole if nothing speaks against it.
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in statements:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan" not in plan, plan


# The command.


@on_postgresql
@pytest.mark.django_db
def test_the_command_shows_its_plan_and_asks(calendar, capsys, monkeypatch):
    write(history())
    answers = iter(["no", "yes"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("tracking_partition", "--convert", "--table=beacon")
    assert "the part for all before 2026-12-01" in capsys.readouterr().out
    assert not partitions.layout(Beacon, "default").is_partitioned
    call_command("tracking_partition", "--convert", "--table=beacon")
    out = capsys.readouterr().out
    assert "Parts of their own: 2026-12, 2027-01, 2027-02" in out
    assert "tracking_beacon_default" in out
    assert not partitions.layout(PageView, "default").is_partitioned
    call_command("tracking_partition", "--convert", "--table=beacon")  # nothing is asked
    assert "2027-03-01" in capsys.readouterr().out


@on_postgresql
@pytest.mark.django_db
def test_a_dry_run_changes_nothing(calendar, capsys):
    write([*history(), hit_at(NOW + timedelta(days=400))])
    call_command("tracking_partition", "--convert", "--dry-run", "--rewrite")
    out = capsys.readouterr().out
    assert "All are copied into their months; hits wait meanwhile." in out
    assert "2025-11, 2025-12, 2026-01" in out
    assert "1 rows have keys of later" in out
    assert not partitions.layout(Beacon, "default").is_partitioned
    convert()
    call_command("tracking_partition", "--undo", "--dry-run", "--table=beacon")
    assert "rows are copied into one table" in capsys.readouterr().out
    calendar[0] += timedelta(days=99)
    call_command("tracking_partition", "--dry-run")
    assert len(parts_of()) == 5


@on_postgresql
@pytest.mark.django_db
def test_nobody_who_could_answer_is_a_no(calendar, monkeypatch):
    def nobody(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("tracking_partition", "--convert")


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_conversion_that_was_broken_off_stands_in_the_way_of_no_later_month(
    another, monkeypatch, caplog
):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 30)
    monkeypatch.setattr(locks, "ATTEMPTS", 2)
    monkeypatch.setattr(locks, "REST", 0.01)
    before = definition_of(Beacon)
    check_before = conversion._check_before

    def then_a_report_begins(*args):
        check_before(*args)
        with another.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_beacon")

    monkeypatch.setattr(conversion, "_check_before", then_a_report_begins)
    with pytest.raises(Busy):
        convert()
    another.rollback()
    assert definition_of(Beacon) != before  # what takes the check away has waited in vain, too
    later = hit_at(Month.of(timezone.now()).next.next.start)
    with pytest.raises(IntegrityError):
        write([later])
    call_command("tracking_partition", "--verbosity=0")
    assert definition_of(Beacon) == before
    assert len(write([later])) == 1
    assert "broken off" in caplog.text


@on_postgresql
@pytest.mark.django_db
def test_the_command_daily(calendar, capsys):
    call_command("tracking_partition")
    assert "one table, not in parts" in capsys.readouterr().out
    call_command("tracking_partition", "--convert", "--yes", "--verbosity=0")
    calendar[0] += timedelta(days=31)
    capsys.readouterr()
    call_command("tracking_partition", "--verbosity=0")
    assert capsys.readouterr().out.splitlines() == [
        "Made: tracking_beacon_2027_03",
        "Made: tracking_pageview_2027_03",
    ]
    call_command("tracking_partition", "--undo", "--yes")
    assert capsys.readouterr().out.count("one table, not in parts") == 2


@pytest.mark.parametrize("options", [["--rewrite"], ["--convert", "--undo"], ["--ahead=0"]])
def test_the_command_refuses_nonsense(options):
    with pytest.raises(CommandError):
        call_command("tracking_partition", *options)
