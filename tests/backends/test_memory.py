"""Keep hits in memory."""

import unittest

import pytest
from asgiref.sync import async_to_sync
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from tracking.backends import get_backend
from tracking.backends.memory import MemoryBackend
from tracking.hits import Hit, Kind


def hits(number):
    return [Hit(kind=Kind.OPEN) for _ in range(number)]


def test_memory_keeps_what_it_is_sent_and_needs_no_database(settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    backend = get_backend()
    assert isinstance(backend, MemoryBackend)
    sent = hits(3)
    backend.send(sent[0])
    backend.send_many(sent[1:])
    assert get_backend().hits == sent
    backend.clear()
    assert get_backend().hits == []


def test_each_test_that_sets_it_gets_a_memory_of_its_own(settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    before = get_backend()
    before.send(Hit(kind=Kind.OPEN))
    assert get_backend() is before
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    assert get_backend().hits == []


#: One for all tests of this file, as in a site whose settings for tests name it.
KEPT = MemoryBackend()


@pytest.mark.parametrize("_time", [1, 2])
def test_each_test_begins_without_hits(_time):
    assert KEPT.hits == []
    KEPT.send_many(hits(2))
    assert len(KEPT.hits) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", [1, 2])
def test_without_a_transaction_it_is_the_same(_time):
    assert KEPT.hits == []
    KEPT.send_many(hits(2))
    assert len(KEPT.hits) == 2


class Django:
    """Tests that Django's test runner runs, in a process without pytest."""

    class Simple(SimpleTestCase):
        backend = MemoryBackend()

        def test_one(self):
            assert self.backend.hits == []
            self.backend.send_many(hits(2))
            async_to_sync(self.backend.asend)(hits(1)[0])
            assert len(self.backend.hits) == 3

        test_two = test_one

    class InTransactions(Simple, TestCase):
        pass

    class WithoutTransactions(Simple, TransactionTestCase):
        pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["Simple", "InTransactions", "WithoutTransactions"])
def test_tests_of_django_begin_without_hits(monkeypatch, name):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    result = unittest.TestResult()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(getattr(Django, name))
    suite.run(result)
    assert result.testsRun == 2
    assert result.errors == result.failures == []
