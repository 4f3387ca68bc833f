"""Snapshots in the processes of a site, and in its tests."""

import io
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import AsyncClient, Client

from tests.support.forks import exit_code, forked
from tracking import bans
from tracking.caching import snapshots
from tracking.caching.snapshots import changed
from tracking.identity import daily_salt
from tracking.models import SharedValue, UntrackedUserAgent

OUTSIDE = pytest.mark.usefixtures("outside_of_tests")
BAN = "tracking.middleware.BannedIPMiddleware"
TRACKING = "tracking.middleware.VisitorTrackingMiddleware"


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_change_of_this_process_is_in_force_at_once(words, table):
    words.get()
    table.append("second")
    changed("words")
    assert words.get() == ("first", "second")
    assert not snapshots.is_due()


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_emptied_tables_are_noticed_at_once(words, table):
    table.append("second")
    changed("words")
    assert words.get() == ("first", "second")
    table.clear()
    call_command("flush", interactive=False, verbosity=0)
    assert words.get() == ()


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_in_a_broken_transaction_the_last_state_is_seen(words, table, caplog):
    words.get()
    table.append("second")
    with transaction.atomic():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")
        transaction.set_rollback(True)
        assert words.get() == ("first",)
    changed("words")
    assert words.get() == ("first", "second")
    assert caplog.records == []


# In the tests of a site.


@pytest.fixture
def guarded(settings):
    settings.MIDDLEWARE = [BAN, TRACKING]
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"


@pytest.mark.django_db
def test_in_tests_no_request_has_queries_of_its_own(guarded, client, django_assert_num_queries):
    for _ in range(3):
        with django_assert_num_queries(0):
            assert client.get("/page/1").status_code == 200


@pytest.mark.django_db
def test_in_tests_a_request_sees_a_change_without_a_query(guarded, django_assert_num_queries):
    client = Client(headers={"User-Agent": "Uptime/1"})
    bans.ban("192.0.2.7")
    UntrackedUserAgent.objects.create(keyword="uptime")
    with django_assert_num_queries(0):
        assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
        assert client.get("/page/1").status_code == 200
    bans.unban(["192.0.2.7"])
    with django_assert_num_queries(0):
        assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("_time", [1, 2])
def test_in_tests_nothing_is_left_of_the_changes_of_another_one(guarded, client, _time):
    assert client.get("/page/1").status_code == 200
    bans.ban("127.0.0.1")
    assert client.get("/page/1").status_code == 403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", [1, 2])
def test_in_tests_without_a_transaction_it_is_the_same(
    guarded, client, django_assert_num_queries, _time
):
    with django_assert_num_queries(0):
        assert client.get("/page/1").status_code == 200
    bans.ban("127.0.0.1")
    with django_assert_num_queries(0):
        assert client.get("/page/1").status_code == 403


@pytest.mark.django_db
def test_in_tests_event_loops_see_a_change(guarded, settings):
    settings.TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
    get = async_to_sync(AsyncClient().get)
    banned = {"X-Forwarded-For": "192.0.2.7"}
    assert get("/async-page/1", headers=banned).status_code == 200
    bans.ban("192.0.2.7")
    assert get("/async-page/1", headers=banned).status_code == 403
    assert get("/async-page/1").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_in_tests_no_thread_is_started(guarded, client):
    client.get("/page/1")
    bans.ban("192.0.2.7")
    client.get("/page/1")
    assert "tracking-refresher" not in {thread.name for thread in threading.enumerate()}


# Salts.


@OUTSIDE
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


@OUTSIDE
@pytest.mark.django_db
def test_a_loaded_dump_leaves_no_empty_salt(tmp_path):
    daily_salt.today()
    snapshots.refresh()
    first = daily_salt.today()
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "tracking.sharedvalue", output=str(dump))
    SharedValue.objects.all().delete()
    call_command("loaddata", str(dump))
    daily_salt._salts.reset()  # as in a process that starts now
    daily_salt.today()
    snapshots.refresh_soon()
    snapshots.refresh()
    assert daily_salt.today() not in {None, b"", first}
    assert len(daily_salt.today()) == daily_salt.SALT_BYTES


# Processes.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_holds_the_locks_does_not_hang():
    holding, over = threading.Event(), threading.Event()
    process = snapshots._process

    def hold():
        with process.poller._polling, process.poller._scheduling, process.refresher._lock:
            holding.set()
            over.wait(10)

    def check():
        locks = (process.poller._polling, process.poller._scheduling, process.refresher._lock)
        return process.poller.next_at == snapshots.NOW and all(
            lock.acquire(timeout=5) for lock in locks
        )

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    pid = forked(check)
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
from tracking.caching import polling, snapshots
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
polling.INTERVAL = 3600
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
