import uuid
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import Affiliate
from tests.support import partitioned
from tracking.db.column_values import MAX_TEXT
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon
from tracking.pipeline.spool import decode_hit, encode_hit
from tracking.recording import write
from tracking.signals import beacon_recorded

pytestmark = pytest.mark.django_db

LAYOUTS = ["one table", *(["partitioned"] if connection.vendor == "postgresql" else [])]


@pytest.fixture(autouse=True, params=LAYOUTS)
def layout(request, db):
    if request.param == "partitioned":
        partitioned.convert_all()


@pytest.fixture
def announced(monkeypatch):
    """The keys of the beacons that the signal was sent for."""
    keys = []

    def receiver(sender, beacon, **kwargs):
        assert sender is Beacon
        keys.append(beacon.pk)

    beacon_recorded.connect(receiver)
    yield keys
    beacon_recorded.disconnect(receiver)


def test_a_hit_becomes_a_row(announced):
    affiliate = Affiliate.objects.create(name="A")
    hit = Hit(
        kind=Kind.CLICK,
        source=Reference.to(affiliate),
        data={"campaign": "spring"},
        url="https://shop.example/",
        referrer="https://webmail.example/",
        ip_address="2001:db8::7",
        user_agent="Mail/1",
    )
    [written] = write([hit])
    row = Beacon.objects.get()
    assert row == written
    assert (row.id, row.kind, row.time, row.source) == (hit.id, "click", hit.time, affiliate)
    assert (row.target, row.target_id, row.entity) == (None, None, None)
    assert (row.data, row.url) == ({"campaign": "spring"}, "https://shop.example/")
    assert (row.referrer, row.user_agent) == ("https://webmail.example/", "Mail/1")
    assert row.ip_address == "2001:db8::7"
    assert announced == [hit.id]


def test_a_hit_is_written_once_however_often_it_is_delivered(announced):
    first, second, third = (Hit(kind=Kind.OPEN) for _ in range(3))
    assert len(write([first, first])) == 1
    assert [beacon.pk for beacon in write([second, first, third, second])] == [second.id, third.id]
    assert write([first, second]) == []
    assert Beacon.objects.count() == 3
    assert announced == [first.id, second.id, third.id]


def test_a_batch_is_one_insert(django_assert_num_queries):
    affiliate = Affiliate.objects.create(name="A")
    ContentType.objects.get_for_model(affiliate)
    hits = [Hit(kind=Kind.OPEN, source=Reference.to(affiliate)) for _ in range(50)]
    with django_assert_num_queries(3):  # the insert, and the savepoint around it
        write(hits)


def test_nothing_to_write_asks_nothing_of_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert write([]) == []


def test_a_listener_that_fails_changes_nothing(announced, caplog):
    def failing(**kwargs):
        raise RuntimeError("not today")

    beacon_recorded.connect(failing)
    try:
        write([Hit(kind=Kind.OPEN)])
    finally:
        beacon_recorded.disconnect(failing)
    assert Beacon.objects.count() == len(announced) == 1
    assert "not today" in caplog.text


def test_a_model_that_the_site_does_not_have_is_kept_in_the_data():
    elsewhere = Reference("elsewhere.customer", "7")
    [beacon] = write([Hit(kind=Kind.OPEN, entity=elsewhere, data={"a": 1})])
    beacon.refresh_from_db()
    assert beacon.entity is None
    assert beacon.data == {"a": 1, "unresolved": {"entity": ["elsewhere.customer", "7"]}}


def test_values_beyond_json_are_kept_as_text():
    data = {"on": date(2026, 2, 28), "price": Decimal("19.90"), "id": uuid.UUID(int=7)}
    write([Hit(kind=Kind.EVENT, data=data)])
    assert Beacon.objects.get().data == {key: str(value) for key, value in data.items()}


def test_long_headers_are_cut():
    long = "https://blog.example/" + "ü" * 8192
    write([Hit(kind=Kind.OPEN, user_agent="x" * 8192, referrer=long)])
    row = Beacon.objects.get()
    assert (len(row.user_agent), len(row.referrer)) == (MAX_TEXT, MAX_TEXT)


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text, data=st.dictionaries(any_text, st.lists(any_text, max_size=2), max_size=3))
def test_any_text_can_be_written(text, data):
    hit = Hit(kind=Kind.OPEN, user_agent=text, referrer=text, url=text, data=data)
    assert len(write([hit])) == 1
    assert Beacon.objects.get(pk=hit.id).user_agent == text.replace("\0", "\ufffd")


def test_what_the_database_refuses_is_raised_without_breaking_the_site_s_transaction():
    Affiliate.objects.create(name="before")
    with pytest.raises(DatabaseError):
        write([Hit(kind=Kind.OPEN), Hit(kind=None)])
    Affiliate.objects.create(name="after")
    assert not transaction.get_connection().needs_rollback
    assert Beacon.objects.count() == 0
    assert Affiliate.objects.count() == 2


def test_a_batch_delivered_again_raises_what_the_database_refuses(announced):
    known = Hit(kind=Kind.OPEN)
    write([known])
    with pytest.raises(DatabaseError):
        write([known, Hit(kind=None)])
    assert Beacon.objects.count() == len(announced) == 1


def test_a_keyword_called_unresolved_is_kept_beside_what_is(announced):
    elsewhere = Reference("elsewhere.customer", "7")
    write([Hit(kind=Kind.OPEN, entity=elsewhere, data={"unresolved": "x"})])
    assert Beacon.objects.get().data == {
        "unresolved": {"entity": ["elsewhere.customer", "7"]},
        "unresolved_": "x",
    }


def test_a_listener_that_breaks_the_transaction_undoes_only_its_own(announced):
    def poisonous(beacon, **kwargs):
        Affiliate.objects.create(name="undone")
        Beacon.objects.create(pk=beacon.pk, kind="open")

    Affiliate.objects.create(name="kept")
    beacon_recorded.connect(poisonous)
    try:
        write([Hit(kind=Kind.OPEN)])
    finally:
        beacon_recorded.disconnect(poisonous)
    assert not transaction.get_connection().needs_rollback
    assert Beacon.objects.count() == len(announced) == 1
    assert Affiliate.objects.get().name == "kept"


def test_a_site_without_time_zones_records(settings):
    settings.USE_TZ = False
    hit = Hit(kind=Kind.OPEN)
    write([hit])
    assert Beacon.objects.get().time == timezone.make_naive(hit.time)


def test_a_large_batch_can_be_delivered_again():
    hits = [Hit(kind=Kind.OPEN) for _ in range(1_201)]
    write(hits)
    assert write([*hits, late := Hit(kind=Kind.OPEN)])[0].pk == late.id
    assert Beacon.objects.count() == 1_202


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_time_without_a_zone_is_of_the_zone_of_the_site(settings, use_tz):
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
    naive = datetime(2026, 5, 4, 12)
    aware = naive.replace(tzinfo=ZoneInfo("Asia/Tokyo"))
    for hit in (Hit(kind="event", time=naive), Hit(kind="event", time=aware)):
        write([decode_hit(encode_hit(hit))])
    first, second = Beacon.objects.values_list("time", flat=True)
    assert first == second == (aware if use_tz else naive)
