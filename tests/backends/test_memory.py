"""Keep hits in memory."""

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
