"""The ban list, its files, and the middleware that keeps out."""

import ipaddress
import itertools
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.dispatch import receiver
from django.http import HttpResponse
from django.test import AsyncClient, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tracking import bans
from tracking.bans import import_export
from tracking.bans.import_export import Entry, Flaw
from tracking.bans.networks import common_beginning
from tracking.bans.prefix_set import BanList
from tracking.caching import snapshots
from tracking.db import chunks
from tracking.middleware import BannedIPMiddleware
from tracking.models import BannedIP, SharedValue, Visitor
from tracking.signals import address_banned

TABLE = pytest.mark.django_db
BANNING = "tracking.middleware.BannedIPMiddleware"


@pytest.fixture(autouse=True)
def _forget(settings):
    settings.MIDDLEWARE = [BANNING, *django_settings.MIDDLEWARE]
    snapshots.forget()
    yield
    snapshots.forget()


@pytest.fixture
def told():
    """The networks that the signal has told of."""
    networks = []

    @receiver(address_banned)
    def note(sender, ban, **kwargs):
        assert sender is BannedIP
        networks.append(ban.network)

    yield networks
    address_banned.disconnect(note)


def banned(address):
    if snapshots.due():
        snapshots.refresh()
    return bans.is_banned(address)


def listed(*networks):
    return BanList.build((network, None) for network in networks)


# The look-up.


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::/0", "2001:db8::1", "192.0.2.7"),
        ("192.0.2.0/24", "::ffff:192.0.2.9", "::192.0.2.9"),
        ("192.0.2.9/24", "192.0.2.1", "192.0.3.9"),  # as only raw SQL can write it
        ("::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"),
    ],
)
def test_networks_of_both_versions_are_looked_up(network, inside, outside):
    assert inside in listed(network)
    assert outside not in listed(network)


addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    # close to each other, or nothing is ever hit
    st.integers(0, 2**12).map(lambda n: ipaddress.IPv4Address((192 << 24) + n)),
    st.integers(0, 2**12).map(lambda n: ipaddress.IPv6Address((0x20010DB8 << 96) + n)),
)


@st.composite
def networks(draw):
    address = draw(addresses)
    bits = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, bits), strict=False)


@given(st.lists(networks(), max_size=20), st.lists(addresses, min_size=1))
def test_it_agrees_with_the_standard_library(some, looked_up):
    some = [network for network in some if network.version == 4 or network.prefixlen < 96]
    ours = listed(*map(str, some))
    for address in looked_up:
        if address.version == 6 and address.ipv4_mapped:
            continue
        expected = any(address in network for network in some)
        assert (str(address) in ours) is expected
        if address.version == 4:
            assert (f"::ffff:{address}" in ours) is expected


@pytest.mark.parametrize("text", ["", "rubbish", "192.0.2", "1.2.3.4\0", "ä", "fe80::1%eth0", ":"])
def test_what_is_no_address_is_not_banned(text):
    assert text not in listed("0.0.0.0/0", "::/0")
    assert not bans.is_banned(None)


@pytest.mark.parametrize("text", ["rubbish", "1.2.3.4/33", "1.2.3.4/-1", "::/129", "1.2.3.4\0", ""])
def test_a_row_that_makes_no_sense_is_left_out_with_one_line(text, caplog):
    made = listed("192.0.2.7", text, text, "2001:db8::1")
    assert "192.0.2.7" in made
    assert "2001:db8::1" in made
    [record] = caplog.records
    assert "2 banned networks" in record.getMessage()


def test_at_110000_entries_it_is_small_and_quick_to_look_up():
    rows = [str(ipaddress.IPv4Address((11 << 24) + 37 * n)) for n in range(100_000)]
    rows += [str(ipaddress.IPv4Network(((12 << 24) + (n << 8), 24))) for n in range(10_000)]
    made = listed(*rows)
    assert all(row.partition("/")[0] in made for row in itertools.islice(rows, 0, None, 997))
    # What the time of a look-up depends on: one step for each length of prefix.
    assert len(made._four) == 2


# The table and the snapshot.


@TABLE
def test_bans_apply_at_once_whatever_way_they_are_made(tmp_path):
    rows = BannedIP.objects
    ban = rows.create(network="192.0.2.7")
    assert banned("192.0.2.7")
    ban.network = "192.0.2.8"
    ban.save()
    assert (banned("192.0.2.7"), banned("192.0.2.8")) == (False, True)
    rows.update(network="192.0.2.9")
    assert (banned("192.0.2.8"), banned("192.0.2.9")) == (False, True)
    rows.filter(network="192.0.2.9").delete()
    assert not banned("192.0.2.9")
    rows.bulk_create([BannedIP(network="192.0.2.10"), BannedIP(network="2001:db8::/32")])
    assert banned("192.0.2.10")
    assert banned("2001:db8::1")
    ban = rows.get(network="192.0.2.10")
    ban.network = "192.0.2.11"
    rows.bulk_update([ban], ["network"])
    assert (banned("192.0.2.10"), banned("192.0.2.11")) == (False, True)
    rows.get_or_create(network="192.0.2.12")
    rows.update_or_create(network="192.0.2.13")
    assert banned("192.0.2.12")
    assert banned("192.0.2.13")
    ban.delete()
    assert not banned("192.0.2.11")
    fixture = tmp_path / "bans.json"
    fixture.write_text(
        '[{"model": "tracking.bannedip", "fields": {"network": "192.0.2.14",'
        ' "created_at": "2026-01-01T00:00:00Z"}}]'
    )
    call_command("loaddata", str(fixture), verbosity=0)
    assert banned("192.0.2.14")


@TABLE
def test_a_ban_that_is_rolled_back_is_not_in_force():
    with transaction.atomic():
        BannedIP.objects.create(network="192.0.2.7")
        assert banned("192.0.2.7")
        transaction.set_rollback(True)
    assert not banned("192.0.2.7")


@TABLE
@pytest.mark.parametrize("_time", [1, 2])
def test_no_test_sees_the_bans_of_another_one(_time):
    assert not banned("192.0.2.7")
    BannedIP.objects.create(network="192.0.2.7")
    assert banned("192.0.2.7")
    snapshots._poll.hasten()


@pytest.mark.django_db(transaction=True)
def test_a_ban_that_nobody_can_be_told_of_is_not_made(monkeypatch):
    def fail(*args):
        raise OperationalError("away")

    monkeypatch.setattr(snapshots, "_write", fail)
    with pytest.raises(OperationalError):
        BannedIP.objects.create(network="192.0.2.7")
    with pytest.raises(OperationalError):
        BannedIP.objects.bulk_create([BannedIP(network="192.0.2.7")])
    assert not BannedIP.objects.exists()


@TABLE
def test_an_expired_ban_is_not_in_force():
    BannedIP.objects.create(network="192.0.2.7", expires_at=timezone.now() - timedelta(seconds=1))
    assert not banned("192.0.2.7")


@pytest.mark.django_db(transaction=True)
def test_a_ban_ends_when_it_expires():
    BannedIP.objects.create(network="192.0.2.7", expires_at=timezone.now() + timedelta(seconds=0.3))
    assert banned("192.0.2.7")
    time.sleep(0.4)
    assert not banned("192.0.2.7")


@TABLE
def test_a_long_list_is_fetched_in_pieces(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 2)
    BannedIP.objects.bulk_create([BannedIP(network=f"192.0.2.{n}") for n in range(5)])
    assert all(banned(f"192.0.2.{n}") for n in range(5))
    assert not banned("192.0.2.5")


@TABLE
def test_who_listens_is_told_of_new_bans_only(told):
    bans.ban("192.0.2.7")
    bans.ban("192.0.2.7", "again")
    BannedIP.objects.update(reason="changed")
    BannedIP.objects.bulk_create(
        [BannedIP(network="192.0.2.7"), BannedIP(network="192.0.2.8/32")], ignore_conflicts=True
    )
    import_export.add([Entry(1, "192.0.2.8", "", None), Entry(2, "192.0.2.9", "", None)])
    assert [str(network) for network in told] == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]


@TABLE
def test_a_listener_that_fails_does_not_undo_the_ban():
    def fail(**kwargs):
        BannedIP.objects.raw("SELECT nonsense FROM nowhere")[0]

    address_banned.connect(fail)
    try:
        bans.ban("192.0.2.7")
    finally:
        address_banned.disconnect(fail)
    assert BannedIP.objects.count() == 1


@TABLE
def test_expiry_goes_by_the_clock_of_django(monkeypatch):
    later = timezone.now() + timedelta(hours=2)
    bans.ban("192.0.2.0/24", expires_at=later - timedelta(hours=1))
    bans.ban("2001:db8::7", expires_at=later - timedelta(hours=1))
    assert banned("192.0.2.7")
    assert banned("2001:db8::7")
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    assert not banned("192.0.2.7")
    assert not banned("2001:db8::7")


@pytest.mark.django_db(transaction=True)
def test_a_ban_that_ends_does_not_load_the_others_again(monkeypatch, django_assert_num_queries):
    now = timezone.now()
    rows = [BannedIP(network=f"192.0.2.{n}", expires_at=now + timedelta(hours=n)) for n in (1, 9)]
    BannedIP.objects.bulk_create(rows)
    assert banned("192.0.2.1")
    monkeypatch.setattr("django.utils.timezone.now", lambda: now + timedelta(hours=5))
    monkeypatch.setattr(snapshots._poll, "at", snapshots.NOW)
    with django_assert_num_queries(1):
        assert not banned("192.0.2.1")
        assert banned("192.0.2.9")


def test_of_two_spellings_of_a_network_the_later_end_counts():
    past, future = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    for rows in itertools.permutations([("192.0.2.9/24", past), ("192.0.2.0/24", future)]):
        assert "192.0.2.7" in BanList.build(rows)
    for rows in itertools.permutations([("192.0.2.9/24", past), ("192.0.2.0/24", None)]):
        assert "192.0.2.7" in BanList.build(rows)
    assert "192.0.2.7" not in BanList.build([("192.0.2.9/24", past), ("192.0.2.0/24", past)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="others have no year 10000")
def test_an_end_that_cannot_be_read_does_not_end_all_bans():
    bans.ban("192.0.2.7")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tracking_bannedip (network, reason, created_at, expires_at)"
            " VALUES ('192.0.2.8', '', now(), '10000-01-01T04:59:59Z'),"
            " ('192.0.2.9', '', now(), 'infinity'), ('192.0.2.10', '', now(), '-infinity')"
        )
    snapshots.changed("bans")
    assert banned("192.0.2.7")
    assert banned("192.0.2.8")
    assert banned("192.0.2.9")
    assert not banned("192.0.2.10")
    assert import_export.known(["192.0.2.8"])["192.0.2.8"].expires_at is None


@TABLE
@pytest.mark.parametrize("year", [1969, 9999])
def test_an_end_that_some_database_cannot_give_back_is_refused(year):
    with pytest.raises(ValidationError) as caught:
        bans.ban("192.0.2.7", expires_at=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert set(caught.value.message_dict) == {"expires_at"}
    with pytest.raises(ValidationError) as caught:
        BannedIP(network="rubbish", expires_at=datetime(year, 1, 1, tzinfo=UTC)).clean_fields()
    assert set(caught.value.message_dict) == {"network", "expires_at"}


@TABLE
def test_a_saved_ban_has_its_canonical_spelling():
    assert BannedIP.objects.create(network="203.0.113.9/24").network == "203.0.113.0/24"
    assert BannedIP.objects.create(network="fe80::1%eth0").network == "fe80::1"
    assert BannedIP.objects.create(network="fe80::1%eth0/64").network == "fe80::/64"


@TABLE
def test_what_changes_nothing_tells_nobody():
    bans.ban("192.0.2.7")
    before = dict(SharedValue.objects.values_list("name", "value"))
    rows = BannedIP.objects
    assert rows.filter(pk=-1).delete()[0] == 0
    assert rows.filter(pk=-1).update(reason="x") == 0
    assert rows.bulk_create([]) == []
    assert import_export.add([]).new == []
    assert dict(SharedValue.objects.values_list("name", "value")) == before
    with pytest.raises(FieldDoesNotExist):
        rows.filter(pk=-1).update(nonsense=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["ban", "add", "create", "update", "delete", "update_or_create"])
def test_each_change_begins_with_the_row_that_all_write(change):
    bans.ban("192.0.2.7")
    rows = BannedIP.objects
    changes = {
        "ban": lambda: bans.ban("192.0.2.7", "again"),
        "add": lambda: import_export.add([Entry(1, "192.0.2.8", "", None)]),
        "create": lambda: rows.create(network="192.0.2.8"),
        "update": lambda: rows.update(reason="new"),
        "delete": lambda: rows.all().delete(),
        "update_or_create": lambda: rows.update_or_create(network="192.0.2.8"),
    }
    with CaptureQueriesContext(connection) as queries:
        changes[change]()
    statements = [query["sql"] for query in queries]
    writes = [sql for sql in statements if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert "tracking_agreed" in writes[0]
    locks = [number for number, sql in enumerate(statements) if "FOR UPDATE" in sql]
    assert all(number > statements.index(writes[0]) for number in locks)


# What is done to the list.


@TABLE
def test_a_ban_is_made_once_and_brought_up_to_date():
    tomorrow = timezone.now() + timedelta(days=1)
    bans.ban("192.0.2.9/24", "first")
    bans.ban("192.0.2.0/24", "second", tomorrow)
    [ban] = BannedIP.objects.all()
    assert (ban.network, ban.reason, ban.expires_at) == ("192.0.2.0/24", "second", tomorrow)
    assert bans.unban(["192.0.2.77/24"]) == 1
    assert bans.unban(["192.0.2.0/24"]) == 0


@TABLE
@pytest.mark.parametrize(("network", "reason"), [("rubbish", ""), ("192.0.2.7", "x" * 201)])
def test_a_ban_that_makes_no_sense_is_refused(network, reason):
    with pytest.raises(ValidationError):
        bans.ban(network, reason)


@TABLE
def test_a_reason_with_nul_is_taken():
    assert bans.ban("192.0.2.7", "a\0b").reason == "a\N{REPLACEMENT CHARACTER}b"


def test_objections(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8", "unix", "2001:db8:1::/48"]

    def against(network, own_address="203.0.113.9"):
        return bans.objections(network, own_address=own_address)

    assert against("192.0.2.7") == []
    assert against("203.0.113.9", None) == []
    assert "yourself" in against("203.0.113.9")[0]
    assert "yourself" in against("203.0.112.0/20")[0]
    assert "10.0.0.0/8" in against("10.1.2.3")[0]
    assert "10.0.0.0/8" in against("8.0.0.0/6")[0]
    assert "2001:db8:1::/48" in against("2001:db8::/32")[0]
    assert "everybody" in against("0.0.0.0/0")[0]
    assert "everybody" in against("::/0")[0]
    assert "large part" in against("128.0.0.0/1")[0]
    assert "large part" in against("2000::/3")[0]
    assert against("32.0.0.0/3") == []
    assert "neither" in against("rubbish")[0]


def test_believing_the_whole_world_does_not_make_bans_impossible(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["0.0.0.0/0"]
    assert bans.objections("192.0.2.7", own_address=None) == []


@pytest.mark.parametrize(
    ("anonymize", "address", "narrow", "wide"),
    [
        (False, "192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        (False, "2001:db8:1:2:3::7", "2001:db8:1:2:3::7", "2001:db8:1:2::/64"),
        (True, "192.0.2.0", "192.0.2.0/24", "192.0.2.0/24"),
        (True, "2001:db8:1::", "2001:db8:1::/48", "2001:db8:1::/48"),
        ((28, 128), "192.0.2.16", "192.0.2.16/28", "192.0.2.0/24"),
        ((16, 32), "192.0.0.0", "192.0.0.0/16", "192.0.0.0/16"),
        ("rubbish", "192.0.2.0", "192.0.2.0/24", "192.0.2.0/24"),
    ],
)
def test_of_a_masked_visitor_the_network_is_banned(settings, anonymize, address, narrow, wide):
    settings.TRACKING_ANONYMIZE_IP = anonymize
    assert bans.network_for(address, wide=False) == narrow
    assert bans.network_for(address, wide=True) == wide


def test_the_networks_around_an_address():
    around = bans.networks_around("192.0.2.7")
    assert len(around) == 33
    assert {"192.0.2.7", "192.0.2.0/24", "0.0.0.0/0"} <= set(around)
    assert bans.networks_around("192.0.2.0/24") == bans.networks_around(
        "192.0.2.7", at_most=(24, 48)
    )
    assert len(bans.networks_around("2001:db8::1")) == 129
    assert bans.networks_around("rubbish") == []


@TABLE
def test_visitors_of_now_are_counted():
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "2001:db8::1", None):
        Visitor.objects.create(ip_address=address)
    Visitor.objects.create(
        ip_address="192.0.2.9", last_update=timezone.now() - timedelta(minutes=30)
    )
    assert bans.visitors_hit(["192.0.2.0/24", "192.0.2.7"]) == 3
    assert bans.visitors_hit(["192.0.2.0/24"], minutes=60) == 4
    assert bans.visitors_hit([]) == 0
    counts = bans.visitors_by_network(["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "10.0.0.1"])
    assert counts == {"192.0.2.0/24": 3, "192.0.2.7": 2, "2001:db8::/32": 1, "10.0.0.1": 0}


@given(
    st.ip_addresses(),
    st.integers(0, 128),
)
def test_addresses_of_a_network_begin_like_it(address, bits):
    network = ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)
    beginning = common_beginning(str(network))
    for one in (address, network[0], network[-1]):
        # IPv4 in another spelling is looked for beside it.
        assert str(one).startswith((beginning, "::ffff:"))
    if address.version == 4 and bits >= 8:
        assert beginning


# Files.


def test_lists_are_read_line_by_line():
    text = (
        "\ufeffnetwork,reason,expires_at\r\n"
        "\n"
        "# a comment, with a comma\r"
        "192.0.2.9/24,  scrapes ,2026-12-31T18:00:00+01:00\n"
        '2001:DB8::0001,"one, ""two"""\n'
        "192.0.2.7\n"
        "192.0.2.8,'=1+1,2026-12-31"
    )
    assert [*import_export.entries_from(text)] == [
        Entry(4, "192.0.2.0/24", "scrapes", datetime(2026, 12, 31, 17, tzinfo=UTC)),
        Entry(5, "2001:db8::1", 'one, "two"', None),
        Entry(6, "192.0.2.7", "", None),
        Entry(7, "192.0.2.8", "=1+1", datetime(2026, 12, 30, 23, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "rubbish",
        "192.0.2.7 is bad",
        "192.0.2.256",
        "192.0.2.7\0",
        "192.0.2.7,a\0b",
        "192.0.2.7,a,b,c",
        "192.0.2.7,,tomorrow",
        "192.0.2.7,,2026-02-30",
        "192.0.2.7,,9999-12-31T23:59:59-12:00",
        "192.0.2.7,,0001-01-01T00:00:00+14:00",
        "192.0.2.7," + "x" * 201,
        "x" * 100_000,
        '"192.0.2.7',
        "=1+1",
        "192.0.2.7,a\rb",
    ],
)
def test_a_line_that_makes_no_sense_is_told_with_its_number(line):
    first, second, third = import_export.entries_from(["192.0.2.1", line, "192.0.2.2"])
    if line == '"192.0.2.7':  # a quote that is left open does not swallow the next line
        assert second == Entry(2, "192.0.2.7", "", None)
    else:
        assert isinstance(second, Flaw)
        assert second.line == 2
        assert second.why
        assert len(second.text) <= 60
        assert "\0" not in second.text
    assert (first.network, third.network) == ("192.0.2.1", "192.0.2.2")


@given(st.lists(st.text(max_size=80), max_size=10))
def test_no_text_breaks_the_reader(lines):
    for found in import_export.entries_from(lines):
        assert isinstance(found, Entry | Flaw)


@TABLE
def test_what_is_exported_is_imported_the_same():
    reasons = ["plain", '=HYPERLINK("http://x")', "+1", "-1", "@x", "'=x", "'quoted'", 'a,"b"', ""]
    end = datetime(2030, 1, 1, tzinfo=UTC)
    for number, reason in enumerate(reasons):
        bans.ban(f"192.0.2.{number}", reason, end if number % 2 else None)
    text = "".join(import_export.export(BannedIP.objects.all()))
    for line in text.splitlines()[1:]:
        cell = line.split(",", 1)[1].lstrip('"')
        assert cell[:1] not in set("=+-@\t\r")
    before = dict.fromkeys(BannedIP.objects.values_list("network", "reason", "expires_at"))
    BannedIP.objects.all().delete()
    added = import_export.add(import_export.entries_from(text))
    assert (len(added.new), len(added.known)) == (len(reasons), 0)
    assert set(BannedIP.objects.values_list("network", "reason", "expires_at")) == set(before)
    added = import_export.add(import_export.entries_from(text))
    assert (len(added.new), len(added.known)) == (0, len(reasons))


@TABLE
def test_reasons_of_several_lines_stay_on_one():
    BannedIP.objects.create(network="192.0.2.7", reason="one\r\ntwo\x0bthree")
    [_header, line] = import_export.export(BannedIP.objects.all())
    assert line == "192.0.2.7,one two three,\r\n"


@TABLE
def test_an_import_brings_known_bans_up_to_date_in_batches(monkeypatch):
    monkeypatch.setattr(import_export, "BATCH", 3)
    monkeypatch.setattr(import_export, "LOOK_UP", 2)
    bans.ban("192.0.2.1", "old")
    lines = [f"192.0.2.{n % 8},new {n}" for n in range(10)]
    import_export.add(import_export.entries_from(lines))
    assert BannedIP.objects.count() == 8
    assert BannedIP.objects.get(network="192.0.2.1").reason == "new 9"
    assert banned("192.0.2.7")


# The middleware.


@TABLE
def test_who_is_banned_is_answered_with_a_short_page(client):
    bans.ban("127.0.0.0/8")
    response = client.get("/nowhere-at-all/")
    assert response.status_code == 403
    assert response["Cache-Control"] == "no-store"
    assert not response.has_header("Vary")
    assert not response.cookies
    html = response.content.decode()
    assert '<html lang="en-us">' in html
    assert "No access" in html
    for active in ("<script", "<style", "style=", "http"):
        assert active not in html
    assert client.head("/").status_code == 403
    assert client.post("/admin/login/").status_code == 403


@TABLE
def test_all_others_get_their_page(client):
    bans.ban("192.0.2.7")
    assert client.get("/page/1").status_code == 200
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="::ffff:192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="").status_code == 200


@TABLE
def test_a_header_neither_evades_nor_frames(client, settings):
    bans.ban("192.0.2.7")
    header = {"X-Forwarded-For": "192.0.2.7"}
    assert client.get("/page/1", headers=header).status_code == 200
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7", headers=header).status_code == 403
    settings.TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
    assert client.get("/page/1", headers=header).status_code == 403
    evading = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
    assert client.get("/page/1", headers=evading).status_code == 403


@TABLE
def test_masked_records_do_not_weaken_a_ban(client, settings):
    settings.TRACKING_ANONYMIZE_IP = True
    bans.ban("192.0.2.7")
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.8").status_code == 200


@TABLE
def test_status_and_template_are_the_sites_own(client, settings):
    bans.ban("127.0.0.1")
    settings.TRACKING_BAN_STATUS = 451
    settings.TRACKING_BAN_TEMPLATE = "admin/404.html"
    response = client.get("/page/1")
    assert response.status_code == 451
    assert "Page not found" in response.content.decode()


@TABLE
@pytest.mark.parametrize(
    "wrong", [{"TRACKING_BAN_TEMPLATE": "missing.html"}, {"TRACKING_BAN_STATUS": "rubbish"}]
)
def test_a_wrong_setting_does_not_let_in(client, settings, wrong, caplog):
    bans.ban("127.0.0.1")
    for name, value in wrong.items():
        setattr(settings, name, value)
    response = client.get("/page/1")
    assert response.status_code == 403
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert "The answer to a banned client" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_request_costs_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(3):  # the tokens, the bans, the keywords
        client.get("/page/1")
    with django_assert_num_queries(0):
        for _ in range(10):
            assert client.get("/page/1").status_code == 200
            snapshots._poll.at = max(snapshots._poll.at, time.monotonic() + 1)
    snapshots._poll.hasten()
    with django_assert_num_queries(1):
        client.get("/page/1")
        client.get("/page/2")


@pytest.mark.django_db(transaction=True)
def test_under_asgi_it_is_the_same(settings):
    """No query in the event loop, where Django forbids them."""
    settings.TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
    bans.ban("192.0.2.7")
    asgi = AsyncClient()

    async def status(address):
        header = {"X-Forwarded-For": address}
        return (await asgi.get("/async-page/1", headers=header)).status_code

    assert async_to_sync(status)("192.0.2.7") == 403
    assert async_to_sync(status)("192.0.2.8") == 200
    bans.unban(["192.0.2.7"])
    assert async_to_sync(status)("192.0.2.7") == 200


def test_it_is_asynchronous_where_the_site_is():
    async def page(request):
        return HttpResponse("page")

    snapshots._poll.at = time.monotonic() + 60
    middleware = BannedIPMiddleware(page)
    response = async_to_sync(middleware)(RequestFactory().get("/"))
    assert response.content == b"page"


def test_a_database_that_is_away_leaves_the_site_open(client, caplog):
    # This test has no database at all.
    for _ in range(5):
        assert client.get("/page/1").status_code == 200
    [record] = [one for one in caplog.records if one.name.startswith("tracking")]
    assert record.levelno == logging.ERROR


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_leaves_the_bans_in_force(client, caplog):
    def refuse(*args):
        raise OperationalError("away")

    bans.ban("192.0.2.7")
    client.get("/page/1")
    snapshots._poll.hasten()
    with connection.execute_wrapper(refuse):
        for _ in range(5):
            assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
            assert client.get("/page/1").status_code == 200
    assert len([one for one in caplog.records if one.name == "tracking.caching.snapshots"]) == 1


def test_whatever_fails_in_it_the_page_is_served(client, monkeypatch, caplog):
    def fail(request):
        raise ZeroDivisionError

    snapshots._poll.at = time.monotonic() + 60
    monkeypatch.setattr("tracking.client_address.address", fail)
    assert client.get("/page/1").status_code == 200
    assert "Looking for a ban failed" in caplog.text
