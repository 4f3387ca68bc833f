"""Partition a table by months, and undo it."""

import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import isolate_apps

from tests.site.models import Affiliate
from tests.support import partitioned
from tests.support.concurrency import together
from tests.support.partitioned import (
    NOW,
    convert,
    definition_of,
    history,
    hit_at,
    on_postgresql,
    parts_of,
    rows_by_part,
)
from tracking import partitions
from tracking.hits import Hit, Kind, PageHit, Reference, uuid7
from tracking.models import Beacon
from tracking.partitions import TableBusy, UnsuitableTable, conversion, locks
from tracking.recording import write
from tracking.retention import cleanup


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
def test_what_cannot_be_converted_is_refused(statement, name):
    with connection.cursor() as cursor:
        cursor.execute(re.sub("f$", "suppress_redundant_updates_trigger()", statement))
    with pytest.raises(UnsuitableTable, match=name):
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
    with pytest.raises(UnsuitableTable, match=r"HASH \(id\)"):
        convert()
    assert cleanup._drop_partitions(cleanup._find_expired(["pageview"])["pageview"]) == 0


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
    assert partitions.add_future_partitions(Beacon, "default", ahead=5) == [
        "tracking_beacon_2027_03",
        "tracking_beacon_2027_04",
    ]
    assert len(write([Hit(kind="a kind of more than twenty characters")])) == 1


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


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_who_reads_for_long_is_waited_for_a_while_and_nothing_is_changed(another, monkeypatch):
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
    # What takes the check away again finds the reader gone.
    forget = conversion.drop_boundary_check

    def after_the_report(*args):
        another.rollback()
        forget(*args)

    monkeypatch.setattr(conversion, "drop_boundary_check", after_the_report)
    with pytest.raises(TableBusy):
        convert()
    assert definition_of(Beacon) == before


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_not_inside_of_a_transaction_of_the_site():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        convert()
    assert not partitions.layout(Beacon, "default").is_partitioned
