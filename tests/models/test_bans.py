"""The model of bans: its field, and its rows that signal bulk changes."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import OperationalError, connection
from django.dispatch import receiver
from django.test.utils import CaptureQueriesContext

from tracking import bans
from tracking.bans import bulk_ban
from tracking.bans.bulk_ban import BanEntry
from tracking.caching import snapshots
from tracking.models import BannedIP, SharedValue
from tracking.signals import address_banned

TABLE = pytest.mark.django_db


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


@pytest.mark.django_db(transaction=True)
def test_a_ban_is_not_made_if_other_processes_cannot_learn_of_it(monkeypatch):
    def fail(*args):
        raise OperationalError("away")

    monkeypatch.setattr(snapshots, "_save_token", fail)
    with pytest.raises(OperationalError):
        BannedIP.objects.create(network="192.0.2.7")
    with pytest.raises(OperationalError):
        BannedIP.objects.bulk_create([BannedIP(network="192.0.2.7")])
    assert not BannedIP.objects.exists()


@TABLE
def test_the_signal_is_sent_for_new_bans_only(told):
    bans.ban("192.0.2.7")
    bans.ban("192.0.2.7", "again")
    BannedIP.objects.update(reason="changed")
    BannedIP.objects.bulk_create(
        [BannedIP(network="192.0.2.7"), BannedIP(network="192.0.2.8/32")], ignore_conflicts=True
    )
    bulk_ban.ban_all([BanEntry(1, "192.0.2.8", "", None), BanEntry(2, "192.0.2.9", "", None)])
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
def test_what_changes_nothing_is_not_published():
    bans.ban("192.0.2.7")
    before = dict(SharedValue.objects.values_list("name", "value"))
    rows = BannedIP.objects
    assert rows.filter(pk=-1).delete()[0] == 0
    assert rows.filter(pk=-1).update(reason="x") == 0
    assert rows.bulk_create([]) == []
    assert bulk_ban.ban_all([]).new == []
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
        "add": lambda: bulk_ban.ban_all([BanEntry(1, "192.0.2.8", "", None)]),
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
