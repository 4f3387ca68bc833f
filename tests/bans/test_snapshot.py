"""Bans in force: changes, ends and expiry."""

import asyncio
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from tracking import bans
from tracking.bans import bulk_ban
from tracking.caching import polling, snapshots
from tracking.db import chunks
from tracking.models import BannedIP

TABLE = pytest.mark.django_db


def banned(address):
    if snapshots.is_due():
        snapshots.refresh()
    return bans.is_banned(address)


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
def test_a_ban_is_seen_at_once_where_no_request_refreshes():
    bans.ban("192.0.2.7")
    assert bans.is_banned("192.0.2.7")
    bans.unban(["192.0.2.7"])
    assert not bans.is_banned("192.0.2.7")


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db(transaction=True)
def test_a_process_that_only_looks_bans_up_sees_those_of_others():
    assert not bans.is_banned("192.0.2.7")
    # What another process writes: this one does not know of it.
    QuerySet(BannedIP).bulk_create([BannedIP(network="192.0.2.7")])
    snapshots._save_token("bans", "of another process", "default")
    time.sleep(polling.INTERVAL + 0.1)
    assert bans.is_banned("192.0.2.7")


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db(transaction=True)
def test_an_event_loop_is_never_blocked_by_a_look_up(django_assert_num_queries, caplog):
    async def look_up():
        return bans.is_banned("192.0.2.7")

    bans.ban("192.0.2.7")
    with django_assert_num_queries(0):
        asyncio.run(look_up())
    assert not caplog.records
    assert bans.is_banned("192.0.2.7")


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db(transaction=True)
def test_look_ups_one_after_another_need_no_query(django_assert_num_queries):
    bans.ban("192.0.2.7")
    bans.is_banned("192.0.2.7")
    with django_assert_num_queries(0):
        assert all(bans.is_banned("192.0.2.7") for _ in range(100))


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
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 2)
    BannedIP.objects.bulk_create([BannedIP(network=f"192.0.2.{n}") for n in range(5)])
    assert all(banned(f"192.0.2.{n}") for n in range(5))
    assert not banned("192.0.2.5")


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


@pytest.mark.usefixtures("outside_of_tests")
@pytest.mark.django_db(transaction=True)
def test_a_ban_that_ends_does_not_load_the_others_again(monkeypatch, django_assert_num_queries):
    now = timezone.now()
    rows = [BannedIP(network=f"192.0.2.{n}", expires_at=now + timedelta(hours=n)) for n in (1, 9)]
    BannedIP.objects.bulk_create(rows)
    assert banned("192.0.2.1")
    monkeypatch.setattr("django.utils.timezone.now", lambda: now + timedelta(hours=5))
    monkeypatch.setattr(snapshots._process.poller, "next_at", snapshots.NOW)
    with django_assert_num_queries(1):
        assert not banned("192.0.2.1")
        assert banned("192.0.2.9")


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
    assert bulk_ban.active_bans(["192.0.2.8"])["192.0.2.8"].expires_at is None
