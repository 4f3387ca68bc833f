"""Records that the database refused: kept with the reason, for ``tracking_replay``.

They lie as lines of JSON in the folder ``rejected`` of the spool, in files named ::

    <time>-<16 random digits>.<stamp of the site>.jsonl
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
from zlib import crc32

from tracking.pipeline.spool.folder import file_names, write_whole
from tracking.pipeline.spool.records import BadRecord, decode_hit
from tracking.pipeline.spool.site_identity import SiteIdentity, owns_file, this_site

#: The name of the folder.
REJECTED = "rejected"

SUFFIX = ".jsonl"

#: Files, and bytes in them, that are looked at to count the records. The rest is estimated.
_MAX_FILES_COUNTED = 1_000
_MAX_BYTES_COUNTED = 4 * 1024 * 1024


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
    name = f"{moment}-{secrets.token_hex(8)}.{this_site().stamp.hex()}{SUFFIX}"
    write_whole(folder / REJECTED, name, "".join(lines))


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
        "checksum": crc32(rejected.raw),
    }
    return json.dumps(entry, default=str) + "\n"


def _parse_line(line: bytes) -> Rejected:
    """Return the record of a line; a damaged line becomes a record that is no hit."""
    try:
        entry = json.loads(line)
        raw = base64.b64decode(entry["record"], validate=True)
        is_damaged = entry.get("checksum", crc32(raw)) != crc32(raw)  # earlier versions have none
    except (ValueError, TypeError, KeyError, AttributeError):
        is_damaged = True
    if is_damaged:
        return Rejected(line, "a damaged line")
    return Rejected(raw, str(entry.get("reason", "")))


@contextmanager
def open_rejected(
    folder: Path, site: SiteIdentity | None = None
) -> Iterator[Iterator[tuple[Path, list[Rejected]]]]:
    """Iterate over the files with rejected records; each is locked during its turn.

    The caller deletes a file whose records it has written or set aside again.

    Args:
        folder: the folder of the spool.
        site: the site whose records these are; ``None`` for those of any site.

    Raises:
        OSError: the folder cannot be read.
    """
    names, _ = file_names(folder / REJECTED, SUFFIX)
    paths = [folder / REJECTED / name for name in sorted(names) if owns_file(site, name)]
    files = _lock_each(paths)
    try:
        yield files
    finally:
        files.close()


def _lock_each(paths: list[Path]) -> Generator[tuple[Path, list[Rejected]], None, None]:
    for path in paths:
        try:
            file = path.open("rb")
        except FileNotFoundError:  # another command has replayed it
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if os.fstat(file.fileno()).st_nlink:
                yield path, [_parse_line(line) for line in file]


def count_rejected(folder: Path, site: SiteIdentity | None = None) -> tuple[int, bool]:
    """Return how many records are set aside, and whether all files were looked at.

    In very large files the number is an estimate.

    Args:
        folder: the folder of the spool.
        site: the site whose records these are; ``None`` for those of any site.

    Raises:
        OSError: the folder or a file cannot be read.
    """
    names, is_complete = file_names(folder / REJECTED, SUFFIX, _MAX_FILES_COUNTED)
    size = counted = number = 0
    for name in names:
        if not owns_file(site, name):
            continue
        try:
            with (folder / REJECTED / name).open("rb") as file:
                size += os.fstat(file.fileno()).st_size
                piece = file.read(_MAX_BYTES_COUNTED - counted)
        except FileNotFoundError:  # replayed meanwhile
            continue
        counted += len(piece)
        number += piece.count(b"\n")
    return (round(number * size / counted) if counted else 0), is_complete
