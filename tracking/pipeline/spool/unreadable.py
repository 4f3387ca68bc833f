"""Files of the spool that cannot be read, and the hits that can still be found in them.

Without a header nobody knows to which site such a file belongs, so it takes a person to have its
hits written. Records are found by their markers and checksums.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tracking.pipeline.spool.folder import file_names
from tracking.pipeline.spool.header import BadHeader, NewerHeader
from tracking.pipeline.spool.records import Record
from tracking.pipeline.spool.rejected import REJECTED
from tracking.pipeline.spool.segments import (
    SUFFIXES,
    is_being_made,
    read_header,
    read_records,
    try_lock,
)


class UnreadableFile:
    """A file that cannot be read, open and locked.

    Attributes:
        path: the file.
        is_newer: whether a later version wrote it, which will read it.
    """

    def __init__(self, path: Path, descriptor: int, *, is_newer: bool) -> None:
        self.path = path
        self.is_newer = is_newer
        self._descriptor = descriptor

    def records(self, limit: int) -> Iterator[list[Record]]:
        """Yield the undamaged records.

        Args:
            limit: how many at once.

        Raises:
            OSError: the file cannot be read.
        """
        position, end = 0, os.fstat(self._descriptor).st_size
        while position < end:
            items, position = read_records(self._descriptor, position, end, limit)
            if records := [item for item in items if isinstance(item, Record)]:
                yield records

    def set_aside(self) -> None:
        """Move the file to the rejected records, where it stays until somebody deletes it.

        Raises:
            OSError: it cannot be moved.
        """
        folder = self.path.parent / REJECTED
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path.rename(folder / f"{self.path.name}.replayed")


@contextmanager
def open_unreadable(folder: Path) -> Iterator[Iterator[UnreadableFile]]:
    """Iterate over the files that cannot be read; each is locked during its turn.

    Args:
        folder: the folder of the spool.

    Raises:
        OSError: the folder or a file cannot be read.
    """
    names, _ = file_names(folder, SUFFIXES)
    with closing(_lock_each([folder / name for name in sorted(names)])) as files:
        yield files


def _lock_each(paths: list[Path]) -> Generator[UnreadableFile, None, None]:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # written and removed meanwhile
            continue
        try:
            if not try_lock(descriptor) or is_being_made(descriptor):
                continue
            try:
                read_header(descriptor)
            except BadHeader as error:
                is_newer = isinstance(error, NewerHeader)
                yield UnreadableFile(path, descriptor, is_newer=is_newer)
        finally:
            os.close(descriptor)
