"""Future partitions are added, expired ones are dropped."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support import partitioned
from tests.support.concurrency import together
from tests.support.partitioned import (
    NOW,
    convert,
    definition_of,
    history,
    hit_at,
    key_of,
    on_postgresql,
    parts_of,
    rows_by_part,
)
from tracking import partitions, retention
from tracking.hits import PageHit, Reference
from tracking.models import Beacon, PageView, Visit
from tracking.partitions import TableBusy, conversion, locks, maintenance
from tracking.partitions.months import Month, months_between
from tracking.recording import write


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor == "postgresql", reason="what other databases do")
def test_elsewhere_the_clean_up_asks_nothing_about_parts(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert partitions.add_all_future_partitions() == {}
        assert partitions.drop_expired_partitions(Beacon, "time", NOW, "default") == 0


@on_postgresql
@pytest.mark.django_db
def test_a_month_gets_its_part_in_time_and_its_rows_from_the_default_one(calendar):
    convert(ahead=1)
    early = [hit_at(datetime(2027, 2, day, tzinfo=UTC)) for day in (1, 28)]
    later = hit_at(datetime(2027, 3, 1, tzinfo=UTC))
    write([*early, later])
    assert rows_by_part() == {"default": 3}
    assert partitions.add_future_partitions(Beacon, "default", ahead=1) == []
    calendar[0] = datetime(2027, 1, 31, 23, tzinfo=UTC)
    made = partitions.add_future_partitions(Beacon, "default", ahead=1)
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
    assert partitions.add_all_future_partitions() == {"beacon": [], "pageview": []}


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_many_who_make_the_same_month_make_one(calendar):
    convert(ahead=1)
    made = []
    try:
        failures = together(
            4, lambda: made.extend(partitions.add_future_partitions(Beacon, "default"))
        )
        assert failures == []
        assert sorted(made) == ["tracking_beacon_2027_01", "tracking_beacon_2027_02"]
    finally:
        partitioned.undo_all()


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
        for part, _ in partitions.expired_partitions(
            Beacon, "time", NOW - timedelta(days=200), "default"
        )
        if part.name.endswith("2026_01")
    ]
    Beacon.objects.create(pk=old_key, kind="open", time=NOW)

    def drop():
        arguments = (Beacon, "time", NOW - timedelta(days=200), "default", part, 1)
        return locks.retry_while_locked("default", lambda: maintenance._drop_partition(*arguments))

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
    months = list(months_between(Month(2026, 6), Month(2026, 10)))
    write([PageHit(visitor="anna", url="/", time=m.start, id=key_of(m.start)) for m in months])
    partitions.convert(PageView, "default", rewrite=True)
    assert retention.clean_up(tables=["pageview"]) == {"pageview": 5}
    assert parts_of(PageView)[0] == "2026_11"
    assert Visit.objects.count() == 5


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
        assert "No partition of tracking_beacon could be dropped" in caplog.text
        another.rollback()
        assert retention.clean_up(tables=["beacon"]) == {"beacon": 0}
        assert len(parts_of()) == 5
    finally:
        partitioned.undo_all()


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


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_conversion_that_was_broken_off_stands_in_the_way_of_no_later_month(
    another, monkeypatch, caplog
):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 30)
    monkeypatch.setattr(locks, "ATTEMPTS", 2)
    monkeypatch.setattr(locks, "PAUSE", 0.01)
    before = definition_of(Beacon)
    check_before = conversion._add_boundary_check

    def then_a_report_begins(*args):
        check_before(*args)
        with another.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tracking_beacon")

    monkeypatch.setattr(conversion, "_add_boundary_check", then_a_report_begins)
    with pytest.raises(TableBusy):
        convert()
    another.rollback()
    assert definition_of(Beacon) != before  # what takes the check away has waited in vain, too
    later = hit_at(Month.of(timezone.now()).next.next.start)
    with pytest.raises(IntegrityError):
        write([later])
    call_command("tracking_partition", "--verbosity=0")
    assert definition_of(Beacon) == before
    assert len(write([later])) == 1
    assert "interrupted" in caplog.text
