"""Records that the database refused: kept with the reason, for ``tracking_replay``.

They lie as lines of JSON in the folder ``rejected`` of the spool.
"""

import base64
import fcntl
import json
import os
import secrets
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tracking.pipeline.spool.folder import write_whole
from tracking.pipeline.spool.records import BadRecord, decode_hit

#: The name of the folder.
REJECTED = "rejected"


class Rejected(NamedTuple):
    """A record that cannot be written as it is, now or later.

    Attributes:
        raw: the payload of a record, or damaged bytes.
        reason: why it cannot be written.
    """

    raw: bytes
    reason: str


def save_rejected(folder: Path, rejected: Iterable[Rejected]) -> None:
    """Set rejected records aside, for people to look at and to replay.

    Args:
        folder: the folder of the spool.
        rejected: the records; without any, no file is made.

    Raises:
        OSError: the file cannot be written.
    """
    lines = [_json_line(item) for item in rejected]
    if not lines:
        return
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    write_whole(folder / REJECTED, f"{moment}-{secrets.token_hex(8)}.jsonl", "".join(lines))


def _json_line(rejected: Rejected) -> str:
    try:
        described: Any = decode_hit(rejected.raw).as_dict()
    except BadRecord:
        described = None
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": rejected.reason,
        "hit": described,
        "record": base64.b64encode(rejected.raw).decode(),
    }
    return json.dumps(entry, default=str) + "\n"


@contextmanager
def open_rejected(folder: Path) -> Iterator[Iterator[tuple[Path, list[Rejected]]]]:
    """Iterate over the files with rejected records; each is locked during its turn.

    The caller deletes a file whose records it has written or set aside again.

    Args:
        folder: the folder of the spool.

    Raises:
        OSError: the folder cannot be read.
    """
    files = _lock_each(sorted((folder / REJECTED).glob("*.jsonl")))
    try:
        yield files
    finally:
        files.close()


def _lock_each(paths: list[Path]) -> Generator[tuple[Path, list[Rejected]], None, None]:
    for path in paths:
        try:
            file = path.open()
        except FileNotFoundError:  # another command has replayed it
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if os.fstat(file.fileno()).st_nlink:
                entries = [json.loads(line) for line in file]
                yield (
                    path,
                    [Rejected(base64.b64decode(e["record"]), e["reason"]) for e in entries],
                )


def count_rejected(folder: Path) -> int:
    """Return how many records are set aside.

    Args:
        folder: the folder of the spool.

    Raises:
        OSError: a file cannot be read.
    """
    number = 0
    for path in (folder / REJECTED).glob("*.jsonl"):
        try:
            with path.open("rb") as file:
                number += sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
        except FileNotFoundError:  # replayed meanwhile
            continue
    return number
