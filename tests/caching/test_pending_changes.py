"""Changes in open transactions."""

import gc
import threading

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from tracking.caching import pending_changes, snapshots
from tracking.caching.snapshots import changed
from tracking.models import SharedValue

#: Outside of tests a command is the simplest case: the code that looks polls.
OUTSIDE = pytest.mark.usefixtures("outside_of_tests")


def read_elsewhere(words):
    """Return what another thread sees."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(words.current))
    thread.start()
    thread.join()
    return seen[0]


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_change_is_in_force_within_its_transaction_and_gone_with_it(words, table):
    words.get()
    with transaction.atomic():
        table.append("second")
        changed("words")
        assert words.get() == words.current == ("first", "second")
        assert read_elsewhere(words) == ("first",)
        table.pop()
        transaction.set_rollback(True)
    assert words.current == ("first",)
    assert words.get() == ("first",)


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_poll_within_the_transaction_publishes_nothing(words, table):
    words.get()
    with transaction.atomic():
        table.append("second")
        changed("words")
        snapshots._process.poller.refresh_soon()
        snapshots.refresh()
        assert words.current == ("first", "second")
        assert read_elsewhere(words) == ("first",)
        table.pop()
        transaction.set_rollback(True)
    assert words.current == ("first",)


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_change_is_read_once_in_its_transaction(words, table, django_assert_num_queries):
    words._load = lambda using: tuple(SharedValue.objects.values_list("name", flat=True))
    words.get()
    with transaction.atomic():
        changed("words")
        words.get()
        with django_assert_num_queries(0):
            assert [words.current for _ in range(3)] == [("words",)] * 3


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_after_the_commit_nothing_is_pending(words, table):
    words.get()
    with transaction.atomic():
        changed("words")
        words.get()
        assert pending_changes.live
    gc.collect()
    assert not pending_changes.live
    words.get()
    assert not snapshots.is_due()


@OUTSIDE
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


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_many_changes_in_one_transaction_are_published_once(words, django_assert_num_queries):
    with transaction.atomic():
        changed("words")
        with django_assert_num_queries(0):
            changed("words")
            changed("words")


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_many_changes_in_savepoints_are_committed_as_one(words, monkeypatch):
    committed = []
    monkeypatch.setattr(snapshots, "_read_committed_change", lambda: committed.append(1))
    with transaction.atomic():
        for _ in range(5):
            with transaction.atomic():
                changed("words")
    assert committed == [1]


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_of_many_changes_in_savepoints_few_have_content(words, table):
    with transaction.atomic():
        for number in range(20):
            with transaction.atomic():
                table.append(number)
                changed("words")
                assert words.current[-1] == number
        changes = [function for _, function, _ in connection.run_on_commit]
        assert len(changes) == 20
        assert sum(one.content is not pending_changes.UNREAD for one in changes) <= 2


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_what_was_seen_before_a_savepoint_is_not_read_again_after_it(
    words, table, django_assert_num_queries
):
    """As in a test of a site: its class has made bans, and each test adds some."""
    words._load = lambda using: (SharedValue.objects.count(), *table)
    with transaction.atomic():
        with transaction.atomic():
            changed("words")
        before = words.current
        for _ in range(2):
            with transaction.atomic():
                for number in range(3):
                    with transaction.atomic():
                        table.append(number)
                        changed("words")
                    assert words.current[-1] == number
                del table[1:]
                transaction.set_rollback(True)
            with django_assert_num_queries(0):
                assert words.current == before


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_change_after_a_look_within_the_transaction_is_seen(words, table):
    with transaction.atomic():
        changed("words")
        words.get()
        table.append("second")
        changed("words")
        assert words.get() == ("first", "second")
        table.append("third")
        changed("words")
    assert words.get() == ("first", "second", "third")


@OUTSIDE
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
        changed("words")
        assert words.get() == ("first", "third")
    assert words.get() == ("first", "third")
    assert not snapshots.is_due()


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_callback_of_the_site_that_fails_does_not_make_each_look_ask(words, clock):
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


@OUTSIDE
@pytest.mark.django_db
def test_callbacks_that_a_test_calls_by_itself_commit_nothing(
    words, table, django_capture_on_commit_callbacks
):
    with transaction.atomic():
        with django_capture_on_commit_callbacks(execute=True):
            table.append("second")
            changed("words")
        assert words.get() == ("first", "second")
        assert read_elsewhere(words) != ("first", "second")
        table.pop()
        transaction.set_rollback(True)
    assert words.get() == ("first",)


@OUTSIDE
@pytest.mark.django_db(transaction=True)
def test_a_failure_to_read_a_change_leaves_the_last_state_and_the_transaction(
    words, table, caplog, monkeypatch
):
    words.get()
    with transaction.atomic():
        changed("words")
        monkeypatch.setattr(words, "_load", lambda using: QuerySet(SharedValue).get(nonsense=1))
        assert words.current == ("first",)
        assert SharedValue.objects.count() == 1
    assert "Reading the changed words failed" in caplog.text


@pytest.mark.django_db
def test_in_tests_other_threads_see_what_the_test_has_changed(words, table):
    table.append("second")
    changed("words")
    assert words.current == ("first", "second")
    assert read_elsewhere(words) == ("first", "second")


@pytest.mark.django_db(transaction=True)
def test_in_tests_nobody_sees_what_was_rolled_back_though_something_refers_to_it(words, table):
    with transaction.atomic():
        table.append("second")
        changed("words")
        assert words.current == ("first", "second")
        kept = list(connection.run_on_commit)
        transaction.set_rollback(True)
    assert kept
    assert words.current == read_elsewhere(words) == ()
