"""A buffered backend that writes at once, and a table that takes what it writes or refuses it."""

import threading

from tracking.backends.buffered import BufferedBackend
from tracking.pipeline import write_batch
from tracking.pipeline.spool import decode_hit

#: A path for ``TRACKING_BACKEND``.
QUICK = "tests.support.buffered.QuickBackend"


class QuickBackend(BufferedBackend):
    interval = 0.02
    first_retry_delay = 0.02
    max_retry_delay = 0.1
    disk_retry_interval = 0.05
    folder_check_interval = 0.05


class BackendWithoutWriter(BufferedBackend):
    """Behaves like one of a release that knows no writer process."""

    leaves_to_writer = False


class ReadableBackend(BufferedBackend):
    """Leaves hits in the spool until a test reads them."""

    def _start_thread(self):
        pass

    @property
    def hits(self):
        """The hits in the spool, oldest first; each is read once."""
        found = []
        while batch := self.spool.take_batch(self.batch_size):
            found += [decode_hit(item.payload) for item in batch.items]
            self.spool.settle_batch(batch)
        return found

    def clear(self):
        """Read what is left."""
        assert self.hits == []


class FakeTable:
    """A database that takes hits, unless it is told otherwise."""

    def __init__(self):
        self.rows = {}
        self.poison = {}
        self.error = None
        self.calls = 0
        self.threads = set()

    def write(self, hits, receipt=None):
        self.calls += 1
        self.threads.add(threading.current_thread())
        if self.error:
            raise self.error
        for hit in hits:
            if error := self.poison.get(hit.data["n"]):
                raise error
        before = len(self.rows)
        self.rows.update({hit.id: hit for hit in hits})
        return len(hits) - (len(self.rows) - before)

    @property
    def numbers(self):
        return sorted(hit.data["n"] for hit in self.rows.values())

    @classmethod
    def instead_of_the_database(cls, monkeypatch):
        """Return a table into which batches are written from now on."""
        table = cls()
        monkeypatch.setattr(write_batch, "write_hits", table.write)
        real = write_batch.write_records
        monkeypatch.setattr(
            write_batch,
            "write_records",
            lambda items, **options: real(items, table.write, **options),
        )
        return table
