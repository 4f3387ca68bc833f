"""The writer process of a site."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Site, wait_until
from tracking.pipeline.spool.writer_lock import WriterState, read_writer

#: The name of the file with the output of the writer process.
LOG = "writer.log"

COMMAND = ("-m", "django", "tracking_writer")


def writer_of(site: Site, identity=None) -> WriterState | None:
    """Return who holds the lock of the writer process."""
    return read_writer(site.spool, identity or lock_identity(site))


def lock_identity(site: Site):
    """Return the identity of the site by the only lock in its folder."""
    [path] = list(site.spool.glob("writer.*.lock")) or [Path("writer.00.lock")]
    return site.identity._replace(address=bytes.fromhex(path.name.split(".")[1]))


@contextmanager
def writing(site: Site) -> Iterator:
    """Run a writer process until the end of the block, in which the test may kill it."""
    with (site.folder / LOG).open("a") as output:
        process = site.start(*COMMAND, stdout=output, stderr=output)
    try:
        wait_until(lambda: _is_at_work(site, process), 20, (site.folder / LOG).read_text)
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(20) == 0, (site.folder / LOG).read_text()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def _is_at_work(site: Site, process) -> bool:
    assert process.poll() is None, (site.folder / LOG).read_text()
    if not list(site.spool.glob("writer.*.lock")):
        return False
    writer = writer_of(site)
    return writer is not None and writer.pid == process.pid


def writer_processes(site: Site) -> list[int]:
    """Return the ids of all writer processes of a site."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            folder = os.readlink(entry / "cwd")
        except OSError:
            continue
        if b"tracking_writer" in command and folder == str(site.folder):
            found.append(int(entry.name))
    return found
