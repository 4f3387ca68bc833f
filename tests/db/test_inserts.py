"""Rows written without the ORM equal those that it writes."""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.models.signals import pre_init
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support.concurrency import together
from tests.support.strategies import any_text, times, zones
from tracking import client_address
from tracking.db import inserts
from tracking.db.column_values import replace_nul, storable_text, storable_time
from tracking.db.parameters import (
    LEAVE_TO_DJANGO,
    _json_text,
    converters_for,
    replace_nul_everywhere,
)
from tracking.enrichment import geoip
from tracking.enrichment.enrich import enrich
from tracking.enrichment.geoip_records import Location
from tracking.enrichment.referrers import spelled
from tracking.hits import ROLES, Hit, Kind, PageHit, Reference, uuid7
from tracking.models import Beacon, PageView, Target
from tracking.recording import write
from tracking.recording.beacon_rows import COLUMNS, EVENT_COLUMNS
from tracking.signals import beacon_recorded, beacons_recorded

pytestmark = pytest.mark.django_db

short_text = any_text.map(lambda value: value[:20])

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()

scalars = st.one_of(
    any_text,
    numbers,
    st.booleans(),
    st.none(),
    st.sampled_from([date(2026, 2, 28), Decimal("19.90"), uuid.UUID(int=7), timedelta(hours=1)]),
    st.datetimes(timezones=st.just(UTC)),
)

any_data = st.dictionaries(
    any_text,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


addresses = st.one_of(
    st.ip_addresses().map(str),
    # Python 3.13 spells mapped addresses in 40 characters, one more than any column has.
    st.ip_addresses(v=6)
    .map(lambda address: address.exploded.upper()[:39])
    .filter(client_address.normalise),
    st.sampled_from([None, "", "::ffff:192.0.2.7", "::FFFF:c000:207", "::192.0.2.7", "::c000:207"]),
)

references = st.none() | st.builds(
    Reference, st.sampled_from(["site.affiliate", "tracking.source"]), any_text
)

# MariaDB refuses UUIDs of no version that there is, whoever spells them.
keys = st.builds(uuid7) | st.uuids(version=1) | st.uuids(version=4) | st.uuids(version=5)

any_hit = st.builds(
    Hit,
    kind=st.sampled_from(Kind) | st.sampled_from(["open", "custom"]),
    id=keys,
    time=times,
    target=references,
    source=references,
    entity=references,
    data=any_data,
    url=any_text,
    referrer=any_text | st.sampled_from(["https://Name:word@Ü.Example:443/ü#x", "ü" * 3_000]),
    ip_address=addresses,
    user_agent=st.sampled_from(["Mail/1", "GoogleImageProxy", "Googlebot/2.1", ""]) | any_text,
    visitor=st.none() | short_text,
    event_name=st.just("") | any_text.map(lambda text: text[:100]),
    event_value=st.none() | st.decimals(-(10**9), 10**9, places=2),
)

ALL_COLUMNS = [*COLUMNS, *EVENT_COLUMNS]

HYPOTHESIS = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def by_the_orm(hit):
    """The row of a hit, as Django's fields write it."""
    concluded = enrich(hit.ip_address, hit.user_agent, is_open=hit.kind == "open")
    tied = {}
    for role in ROLES:
        if reference := getattr(hit, role):
            app_label, model = reference.label.split(".")
            content_type = ContentType.objects.get_by_natural_key(app_label, model)
            tied |= {f"{role}_type": content_type, f"{role}_id": replace_nul(reference.pk)}
    return Beacon(
        id=hit.id,
        kind=hit.kind,
        time=storable_time(hit.time),
        data=replace_nul_everywhere(hit.data),
        url=replace_nul(hit.url),
        referrer=storable_text(spelled(hit.referrer)),
        ip_address=hit.ip_address,
        user_agent=storable_text(hit.user_agent),
        visitor_id=hit.visitor and replace_nul(hit.visitor)
        if concluded["verdict"] == "human"
        else None,
        event_name=replace_nul(hit.event_name) or None,
        event_value=hit.event_value if hit.event_name else None,
        **concluded,
        **tied,
    )


def stored(table="tracking_beacon"):
    """All rows as the driver returns them, with no field in between."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        return [repr(row) for row in cursor.fetchall()]


@pytest.fixture
def places(monkeypatch):
    """Addresses of IPv6 are somewhere."""
    found = Location("AU", "New\tSouth", "\N{SNOWMAN}", -33.8688, 0.1 + 0.2)
    monkeypatch.setattr(geoip, "locate", lambda address: found if ":" in (address or "") else None)


def check(hits):
    unique = list({hit.id: hit for hit in hits}.values())
    expected = [by_the_orm(hit) for hit in unique]
    with transaction.atomic():
        written = write(unique)
        ours = stored()
        transaction.set_rollback(True)
    with transaction.atomic():
        Beacon.objects.bulk_create(expected)
        theirs = stored()
        transaction.set_rollback(True)
    assert ours == theirs
    for mine, other in zip(written, expected, strict=True):
        assert {name: getattr(mine, name) for name in ALL_COLUMNS} == {
            name: getattr(other, name) for name in ALL_COLUMNS
        }


@HYPOTHESIS
@given(hit=any_hit)
def test_one_row_is_as_the_orm_writes_it(places, hit):
    check([hit])


@pytest.mark.long
@HYPOTHESIS
@given(hits=st.lists(any_hit, min_size=inserts.MIN_ROWS_FOR_COPY, max_size=12))
def test_many_rows_are_as_the_orm_writes_them(places, hits):
    check(hits)


@pytest.mark.long
@HYPOTHESIS
@given(hits=st.lists(any_hit, min_size=4, max_size=12))
def test_a_driver_without_copy_writes_the_same(places, monkeypatch, hits):
    monkeypatch.setattr(inserts.compat, "has_copy", lambda: False)
    monkeypatch.setattr(inserts, "_MAX_ROWS_PER_STATEMENT", 5)
    check(hits)


@pytest.mark.long
@HYPOTHESIS
@given(hits=st.lists(any_hit, min_size=1, max_size=12))
def test_a_site_without_time_zones_writes_the_same(places, settings, hits):
    settings.USE_TZ = False
    check(hits)


@HYPOTHESIS
@given(hits=st.lists(any_hit, min_size=1, max_size=4))
def test_a_database_that_is_not_known_is_left_to_the_orm(places, monkeypatch, hits):
    monkeypatch.setattr(connections["default"], "vendor", "another")
    assert converters_for(connections["default"]) is LEAVE_TO_DJANGO
    check(hits)


page_hits = st.builds(
    PageHit,
    visitor=st.sampled_from(["anna", "ben"]),
    url=any_text,
    time=st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=zones),
)


@pytest.mark.long
@pytest.mark.parametrize("use_tz", [True, False])
@HYPOTHESIS
@given(hits=st.lists(page_hits, min_size=1, max_size=12))
def test_page_views_are_as_the_orm_writes_them(settings, use_tz, hits):
    settings.USE_TZ = use_tz
    with transaction.atomic():
        write(hits)
        ours = stored("tracking_pageview")
        views = list(PageView.objects.all())
        PageView.objects.all().delete()
        by_id = {hit.id: hit for hit in hits}
        for view in views:
            view.time, view.url = (
                storable_time(by_id[view.pk].time),
                storable_text(by_id[view.pk].url),
            )
        PageView.objects.bulk_create(views)
        assert ours == stored("tracking_pageview")
        transaction.set_rollback(True)


def test_every_column_is_written():
    assert sorted(ALL_COLUMNS) == sorted(field.attname for field in Beacon._meta.concrete_fields)


def test_nul_and_mappings_deep_in_the_data():
    hit = Hit(kind=Kind.EVENT, data=MappingProxyType({"a": (MappingProxyType({"b\0": "\0"}),)}))
    write([hit])
    assert Beacon.objects.get().data == {"a": [{"b\ufffd": "\ufffd"}]}
    assert _json_text({}) == "{}"
    assert _json_text({"path": "C:\\u0000"}) == r'{"path": "C:\\u0000"}'


def test_what_json_cannot_say_is_an_error_and_writes_nothing():
    good = [Hit(kind=Kind.OPEN) for _ in range(inserts.MIN_ROWS_FOR_COPY + 150)]
    with pytest.raises(TypeError, match="not JSON serializable"):
        write([*good, Hit(kind=Kind.EVENT, data={"a": object()})])
    assert Beacon.objects.count() == 0
    assert len(write(good)) == len(good)


@pytest.mark.parametrize("address", ["192.0.2.0/24", "nowhere", "2001:db8::/32", "1.2.3.4\0"])
def test_what_is_no_address_is_refused_where_the_column_has_a_type(address):
    hits = [Hit(kind=Kind.OPEN, ip_address=address)]
    if connection.vendor != "postgresql":
        return
    with pytest.raises((ValueError, DatabaseError)):
        write(hits)
    assert Beacon.objects.count() == 0


@pytest.fixture
def made():
    """The keys of the beacons that have become instances."""
    keys = []

    def note(kwargs, **_):
        keys.append(kwargs["id"])

    pre_init.connect(note, sender=Beacon)
    yield keys
    pre_init.disconnect(note, sender=Beacon)


def test_without_receivers_no_instance_is_made(made):
    hits = [Hit(kind=Kind.OPEN) for _ in range(30)]
    written = write(hits)
    assert len(written) == 30
    assert made == []
    assert written[-1].pk == hits[-1].id
    assert written[-1] is written[29]
    assert [each.pk for each in written[1:3]] == [hits[1].id, hits[2].id]
    assert len(made) == 3
    with pytest.raises(IndexError):
        written[30]


def test_an_instance_is_as_one_that_was_loaded():
    [beacon] = write([Hit(kind=Kind.OPEN)])
    assert not beacon._state.adding
    assert beacon._state.db == "default"
    assert repr(write([hit := Hit(kind=Kind.OPEN)])) == f"[<Beacon: Open {hit.id}>]"


def test_the_signal_of_a_batch_is_sent_once(restore_receivers, made):
    batches, singles = [], []

    def batch(sender, beacons, **kwargs):
        assert sender is Beacon
        batches.append(beacons)

    beacons_recorded.connect(batch)
    hits = [Hit(kind=Kind.OPEN) for _ in range(30)]
    write(hits)
    assert [len(each) for each in batches] == [30]
    assert made == []

    def single(beacon, **kwargs):
        assert len(batches) == 1  # the batch comes after each of its beacons
        singles.append(beacon)

    beacon_recorded.connect(single)
    write([*hits, *(late := [Hit(kind=Kind.CLICK), Hit(kind=Kind.CLICK)])])
    assert [each.pk for each in batches[1]] == [each.pk for each in singles]
    assert [each.pk for each in singles] == [hit.id for hit in late]
    write(hits)
    assert len(batches) == 2


def test_a_listener_of_batches_that_fails_changes_nothing(restore_receivers, caplog):
    def failing(**kwargs):
        raise RuntimeError("not today")

    beacons_recorded.connect(failing)
    write([Hit(kind=Kind.OPEN)])
    assert Beacon.objects.count() == 1
    assert "not today" in caplog.text


@pytest.mark.parametrize("number", [1, inserts.MIN_ROWS_FOR_COPY + 1])
def test_a_broken_transaction_of_the_site_stays_one(number):
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            write([Hit(kind=Kind.OPEN) for _ in range(number)])


@pytest.mark.parametrize("number", [1, inserts.MIN_ROWS_FOR_COPY + 1])
def test_what_is_refused_leaves_the_transaction_of_the_site_as_it_was(number):
    affiliate = Affiliate.objects.create(name="before")
    with pytest.raises(IntegrityError):
        write([*(Hit(kind=Kind.OPEN) for _ in range(number)), Hit(kind=None)])
    affiliate.refresh_from_db()
    assert Beacon.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="an in-memory database has one writer")
def test_a_batch_delivered_by_many_at_once_is_written_once():
    hits = [Hit(kind=Kind.OPEN) for _ in range(60)]
    written = []

    def deliver():
        mine = hits[:]
        # Not in the same order, so that one waits for the other in a circle.
        if len(written) % 2:
            mine.reverse()
        written.append([beacon.pk for beacon in write(mine)])

    assert together(6, deliver) == []
    assert Beacon.objects.count() == 60
    assert sorted(key for keys in written for key in keys) == sorted(hit.id for hit in hits)


def test_an_unknown_model_is_logged_once_in_a_batch(caplog):
    hits = [Hit(kind=Kind.OPEN, entity=Reference("elsewhere.customer", str(n))) for n in range(9)]
    written = write(hits)
    assert written[8].data == {"unresolved": {"entity": ["elsewhere.customer", "8"]}}
    assert [record.getMessage() for record in caplog.records] == [
        "Hits refer to the unknown model elsewhere.customer; the reference is kept in their data."
    ]


class Elsewhere:
    def db_for_write(self, model, **hints):
        return "elsewhere"

    db_for_read = db_for_write


@pytest.fixture
def elsewhere(settings):
    """A second database, to which a router sends all."""
    connections.settings["elsewhere"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
    }
    connections["elsewhere"].connect()  # asked for by itself, it would be forbidden in a test
    with connections["elsewhere"].schema_editor() as editor:
        editor.create_model(ContentType)
        editor.create_model(Beacon)
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    yield "elsewhere"
    connections["elsewhere"].connection.close()  # Django keeps what is in memory open
    del connections["elsewhere"], connections.settings["elsewhere"]
    ContentType.objects.clear_cache()


def test_a_router_sends_them_elsewhere(elsewhere):
    hits = [Hit(kind=Kind.OPEN, source=Reference("site.affiliate", "1")) for _ in range(50)]
    assert [beacon._state.db for beacon in write(hits)] == [elsewhere] * 50
    assert write(hits) == []
    assert Beacon.objects.using(elsewhere).count() == 50
    assert Beacon.objects.using("default").count() == 0


class Strict:
    """A router that keeps this app in a database of its own, and content types out of it."""

    @staticmethod
    def database(label):
        return "elsewhere" if label == "tracking" else "default"

    def db_for_read(self, model, **hints):
        return self.database(model._meta.app_label)

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return db == self.database(app_label)


@pytest.fixture
def strict(settings):
    connections.settings["elsewhere"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
    }
    connections["elsewhere"].connect()
    with connections["elsewhere"].schema_editor() as editor:
        editor.create_model(Beacon)
        editor.create_model(Target)
    settings.DATABASE_ROUTERS = [f"{__name__}.Strict"]
    yield
    connections["elsewhere"].connection.close()
    del connections["elsewhere"], connections.settings["elsewhere"]


def test_a_router_may_keep_content_types_in_one_database(strict):
    anna = Affiliate.objects.create(name="Anna")
    shop = Target.objects.create(name="Shop", url="https://shop.example/")
    gone = Reference("site.affiliate", "987654")
    references = {"source": Reference.to(anna), "target": Reference.to(shop), "entity": gone}
    [hit] = write([Hit(kind=Kind.CLICK, **references)])
    for beacon in (hit, Beacon.objects.get(), Beacon.objects.prefetch_related(*ROLES).get()):
        assert beacon._state.db == "elsewhere"
        assert beacon.reference("source") == references["source"]
        for _ in range(2):
            assert (beacon.source, beacon.target, beacon.entity) == (anna, shop, None)
        assert (beacon.source._state.db, beacon.target._state.db) == ("default", "elsewhere")
    assert Beacon.objects.for_source(anna).count() == 1
    assert anna.beacons.count() == 1


def test_one_row_is_not_written_by_executemany():
    """The debug toolbar fails at it on SQLite, and a request writes single rows."""
    seen = []

    def note(execute, sql, params, many, context):
        seen.append(many)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        write([Hit(kind=Kind.OPEN)])
        write([PageHit(visitor="anna", url="/tea/", ip_address="192.0.2.1", user_agent="Web/1")])
    assert seen
    assert not any(seen)
