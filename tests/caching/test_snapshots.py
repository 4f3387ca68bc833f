import io
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction

from tests.support import clocks
from tests.support.forks import exit_code, forked
from tracking.caching import snapshots
from tracking.caching.snapshots import Snapshot, changed
from tracking.identity import daily_salt
from tracking.models import SharedValue


@pytest.fixture
def table():
    """What a snapshot has a copy of."""
    return ["first"]


@pytest.fixture
def words(table, monkeypatch):
    """The only snapshot of this process."""
    monkeypatch.setattr(snapshots._poller, "refreshables", [])
    return Snapshot("words", lambda using: tuple(table), ())


@pytest.fixture
def clock(monkeypatch):
    return clocks.of_snapshots(monkeypatch)


def told_elsewhere(name):
    """Do what another process does that has changed the table."""
    snapshots._save_token(name, f"token at {time.monotonic()}", "default")


@pytest.mark.django_db
def test_a_snapshot_is_loaded_when_it_is_asked_for_first(words, table):
    assert words.current == ()
    assert words.get() == words.current == ("first",)


@pytest.mark.django_db(transaction=True)
def test_within_the_interval_nothing_is_asked(words, clock, django_assert_num_queries):
    words.get()
    with django_assert_num_queries(0):
        for _ in range(5):
            assert not snapshots.is_due()
            words.get()
    clock.pass_by(snapshots.INTERVAL)
    with django_assert_num_queries(1):
        words.get()
        words.get()


@pytest.mark.django_db
def test_a_change_elsewhere_is_in_force_after_the_interval(words, table, clock):
    words.get()
    table.append("second")
    told_elsewhere("words")
    assert words.get() == ("first",)
    clock.pass_by(snapshots.INTERVAL)
    assert words.get() == ("first", "second")


@pytest.mark.django_db
def test_without_a_change_nothing_is_loaded_again(clock, monkeypatch):
    monkeypatch.setattr(snapshots._poller, "refreshables", [])
    loaded = []
    snapshot = Snapshot("words", loaded.append, None)
    for _ in range(3):
        snapshot.get()
        clock.pass_by(1)
    assert loaded == ["default"]


@pytest.mark.django_db(transaction=True)
def test_a_change_of_this_process_is_in_force_at_once(words, table):
    words.get()
    table.append("second")
    changed("words")
    assert words.get() == ("first", "second")
    assert not snapshots.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_change_is_in_force_within_its_transaction_and_gone_with_it(words, table):
    words.get()
    with transaction.atomic():
        table.append("second")
        changed("words")
        assert words.get() == ("first", "second")
        assert snapshots.is_due()
        table.pop()
        transaction.set_rollback(True)
    assert snapshots.is_due()
    assert words.get() == ("first",)
    assert not snapshots.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_committed_change_is_no_longer_provisional(words, table):
    words.get()
    with transaction.atomic():
        changed("words")
        words.get()
        assert snapshots.is_due()
    words.get()
    assert not snapshots.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_change_rolled_back_to_a_savepoint_is_published_again(words, table):
    words.get()
    with transaction.atomic():
        with transaction.atomic():
            changed("words")
            transaction.set_rollback(True)
        table.append("second")
        changed("words")
    assert SharedValue.objects.filter(name="words").exists()
    assert words.get() == ("first", "second")


@pytest.mark.django_db(transaction=True)
def test_many_changes_in_one_transaction_are_published_once(words, django_assert_num_queries):
    with transaction.atomic():
        changed("words")
        with django_assert_num_queries(0):
            changed("words")
            changed("words")


@pytest.mark.django_db(transaction=True)
def test_a_change_after_a_look_within_the_transaction_is_seen(words, table):
    with transaction.atomic():
        changed("words")
        words.get()
        table.append("second")
        changed("words")
        assert words.get() == ("first", "second")
        # Another connection sees the old token, and takes the change for rolled back.
        words.reload_if_changed({}, "default")
        table.append("third")
        changed("words")
    assert words.get() == ("first", "second", "third")


@pytest.mark.django_db(transaction=True)
def test_what_was_seen_in_a_savepoint_goes_with_it(words, table):
    words.get()
    with transaction.atomic():
        changed("words")
        with transaction.atomic():
            table.append("second")
            changed("words")
            assert words.get() == ("first", "second")
            table.pop()
            transaction.set_rollback(True)
        assert words.get() == ("first",)
        table.append("third")
        assert words.get() == ("first", "third")
    assert words.get() == ("first", "third")
    assert not snapshots.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_callback_of_the_site_that_fails_does_not_make_each_request_ask(words, clock):
    def fail():
        raise ZeroDivisionError

    def change():
        with transaction.atomic():
            transaction.on_commit(fail)
            changed("words")
            words.get()

    words.get()
    with pytest.raises(ZeroDivisionError):
        change()
    words.get()
    assert not snapshots.is_due()
    assert not words.is_uncommitted


@pytest.mark.django_db
def test_callbacks_that_a_test_calls_by_itself_commit_nothing(
    words, table, django_capture_on_commit_callbacks
):
    with transaction.atomic():
        with django_capture_on_commit_callbacks(execute=True):
            table.append("second")
            changed("words")
        assert words.get() == ("first", "second")
        table.pop()
        transaction.set_rollback(True)
    assert words.get() == ("first",)


@pytest.mark.django_db(transaction=True)
def test_emptied_tables_are_noticed_at_once(words, table):
    table.append("second")
    changed("words")
    assert words.get() == ("first", "second")
    table.clear()
    call_command("flush", interactive=False, verbosity=0)
    assert words.get() == ()


@pytest.mark.django_db(transaction=True)
def test_in_a_broken_transaction_nobody_asks_and_the_next_one_does(words, table, caplog):
    words.get()
    table.append("second")
    changed("words")
    with transaction.atomic():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")
        if connection.vendor != "postgresql":  # which is broken by itself
            transaction.set_rollback(True)
        assert words.get() == ("first",)
        transaction.set_rollback(True)
    assert words.get() == ("first", "second")
    assert caplog.records == []


@pytest.mark.django_db
def test_one_that_cannot_be_loaded_does_not_stop_the_others(words, table, clock, caplog):
    other = Snapshot("others", lambda using: refuse(), None)
    snapshots._poller.refreshables.reverse()
    assert words.get() == ("first",)
    assert not other.is_loaded
    [record] = caplog.records
    assert "others" in record.getMessage()
    table.append("second")
    told_elsewhere("words")
    clock.pass_by(snapshots.INTERVAL)
    assert words.get() == ("first", "second")
    assert len(caplog.records) == 1
    clock.pass_by(snapshots.BACKOFF)
    words.get()
    assert len(caplog.records) == 2


@pytest.mark.django_db
def test_one_that_cannot_be_loaded_is_not_asked_for_by_each_request(words, clock):
    Snapshot("others", lambda using: refuse(), None)
    words.get()
    snapshots.refresh_soon()
    assert not snapshots.is_due()


@pytest.mark.django_db(databases=["default"])
def test_it_reads_from_where_is_written(words, settings):
    settings.DATABASE_ROUTERS = ["tests.caching.test_snapshots.Replicas"]
    loaded = []
    words._load = loaded.append
    words.get()
    assert loaded == ["default"]


class Replicas:
    """A router that reads from where there is nothing."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


@pytest.mark.django_db
@pytest.mark.parametrize("use_base_manager", [False, True])
@pytest.mark.parametrize("form", ["json", "jsonl", "xml"])
def test_no_salt_is_in_a_dump(form, use_base_manager):
    daily_salt.today()
    snapshots.refresh()
    changed("words")
    out = io.StringIO()
    call_command("dumpdata", "tracking", stdout=out, format=form, use_base_manager=use_base_manager)
    assert daily_salt.today().hex() not in out.getvalue()
    assert '"words"' in out.getvalue()


@pytest.mark.django_db
def test_a_loaded_dump_leaves_no_empty_salt(tmp_path):
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "tracking.sharedvalue", output=str(dump))
    SharedValue.objects.all().delete()
    call_command("loaddata", str(dump))
    daily_salt._salt.reset()  # as in a process that starts now
    daily_salt.today()
    snapshots.refresh_soon()
    snapshots.refresh()
    assert daily_salt.today() not in {None, b"", first}
    assert len(daily_salt.today()) == daily_salt.SALT_BYTES


def refuse(*_args):
    raise OperationalError("the database is away")


@pytest.mark.django_db
def test_a_database_that_is_away_leaves_the_last_state_and_one_line(words, table, clock, caplog):
    words.get()
    table.append("second")
    clock.pass_by(1)
    with connection.execute_wrapper(refuse):
        for _ in range(10):
            assert words.get() == ("first",)
            clock.pass_by(0.4)
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        clock.pass_by(snapshots.BACKOFF)
        words.get()
        assert len(caplog.records) == 2
    told_elsewhere("words")
    clock.pass_by(snapshots.BACKOFF)
    assert words.get() == ("first", "second")


@pytest.mark.django_db
def test_without_a_database_from_the_start_it_is_empty(words, caplog):
    with connection.execute_wrapper(refuse):
        assert words.get() == ()
        assert words.get() == ()
    assert len(caplog.records) == 1


def test_tests_that_may_not_touch_a_database_are_not_broken(words, caplog):
    assert words.get() == ()
    assert len(caplog.records) == 1


@pytest.mark.django_db
def test_a_failure_does_not_poison_the_transaction_of_the_site(words, monkeypatch):
    def fail(using):
        SharedValue.objects.raw("SELECT nonsense FROM nowhere")[0]

    monkeypatch.setattr(words, "_load", fail)
    with transaction.atomic():
        assert words.get() == ()
        assert SharedValue.objects.count() == 0


@pytest.mark.django_db
def test_a_wish_during_a_poll_is_not_lost(words, monkeypatch):
    def load(using):
        snapshots._poller.refresh_soon()
        return ("loaded",)

    monkeypatch.setattr(words, "_load", load)
    words.get()
    assert snapshots.is_due()


@pytest.mark.django_db
def test_a_wish_does_not_shorten_the_wait_after_a_failure(words, clock):
    with connection.execute_wrapper(refuse):
        words.get()
    snapshots.refresh_soon()
    assert not snapshots.is_due()
    changed("words")
    assert snapshots.is_due()


@pytest.mark.django_db
def test_while_one_thread_polls_the_others_go_on(words, table):
    words.get()
    snapshots._poller.refresh_soon()
    with snapshots._poller._polling:
        began = time.monotonic()
        threaded(snapshots.refresh)
        assert time.monotonic() - began < 1
    assert snapshots.is_due()


@pytest.mark.django_db
def test_before_the_first_load_the_others_wait(words, monkeypatch):
    seen = []

    def load_slowly(using):
        other.start()
        time.sleep(0.2)
        return ("loaded",)

    monkeypatch.setattr(words, "_load", load_slowly)
    other = threading.Thread(target=lambda: seen.append(words.get()))
    words.get()
    other.join()
    assert seen == [("loaded",)]


@pytest.mark.django_db
def test_nobody_waits_for_ever(words, monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_WAIT", 0.1)
    with snapshots._poller._polling:
        threaded(snapshots.refresh)
    assert words.current == ()


def threaded(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.django_db
def test_asynchronous_code_refreshes_without_blocking(words):
    async def ask():
        await sync_to_async(snapshots.refresh)()
        return words.current

    assert async_to_sync(ask)() == ("first",)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_holds_the_locks_does_not_hang():
    holding, over = threading.Event(), threading.Event()

    def hold():
        with snapshots._poller._polling, snapshots._poller._scheduling:
            holding.set()
            over.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    script = snapshots._poller
    pid = forked(lambda: script.next_at == snapshots.NOW and script._polling.acquire(timeout=5))
    over.set()
    thread.join()
    assert exit_code(pid) == 0


SCRIPT = """
import os, sys, time, django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tracking"],
    USE_TZ=True, SECRET_KEY="-", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.core.management import call_command
from django.db import connections
from tracking import bans
from tracking.caching import snapshots
from tracking.identity import daily_salt
from tracking.models import BannedIP, UntrackedUserAgent

def banned(address):
    if snapshots.is_due():
        snapshots.refresh()
    return bans.is_banned(address)

def line(text):
    print(text, flush=True)
"""


@pytest.fixture
def process(tmp_path):
    """Start processes of a site that has a database in a file."""
    started = []

    def start(body):
        script = SCRIPT + body
        running = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "site.sqlite3")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(running)
        return running

    made = start("call_command('migrate', verbosity=0); line('made')")
    assert made.communicate(timeout=60)[0].strip() == "made"
    yield start
    for running in started:
        running.kill()
        running.communicate()


def say(running, text=""):
    running.stdin.write(f"{text}\n")
    running.stdin.flush()


@pytest.mark.slow
def test_a_ban_is_in_force_in_other_processes_within_a_second(process):
    server = process(
        "line(banned('192.0.2.7'))\n"
        "input()\n"
        "began = time.monotonic()\n"
        "while not banned('192.0.2.7'):\n"
        "    time.sleep(0.01)\n"
        "line(time.monotonic() - began)\n"
    )
    admin = process("input(); BannedIP.objects.create(network='192.0.2.0/24'); line('banned')")
    assert server.stdout.readline().strip() == "False"
    say(admin)
    assert admin.stdout.readline().strip() == "banned"
    say(server)
    assert float(server.stdout.readline()) < 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_sees_a_ban_that_is_made_after_the_fork(process):
    body = """
line(banned('192.0.2.7'))
connections.close_all()
snapshots.INTERVAL = 3600
snapshots.refresh()
pid = os.fork()
if pid == 0:
    time.sleep(0.3)
    line(banned('192.0.2.7'))
    os._exit(0)
BannedIP.objects.create(network='192.0.2.7')
os.waitpid(pid, 0)
"""
    parent = process(body)
    assert parent.communicate(timeout=30)[0].split() == ["False", "True"]


@pytest.mark.slow
def test_all_processes_share_the_salt_of_the_day(process, tmp_path):
    body = "daily_salt.today(); snapshots.refresh(); input(); line(daily_salt.today().hex())"
    running = [process(body) for _ in range(3)]
    for one in running:
        say(one)
    told = {one.communicate(timeout=30)[0].strip() for one in running}
    assert len(told) == 1
    with sqlite3.connect(tmp_path / "site.sqlite3") as database:
        rows = database.execute("SELECT value FROM tracking_agreed WHERE name LIKE 'salt %'")
        assert {value for (value,) in rows} == told
    database.close()
