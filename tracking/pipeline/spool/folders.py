"""The folder of the spool: where it is, what is in it, and what was set aside."""

import base64
import fcntl
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.crypto import salted_hmac

from tracking.conf import conf
from tracking.pipeline.spool.records import BadRecord, decode
from tracking.pipeline.spool.segments import SUFFIX, Peek

#: What is refused, as lines of JSON with the reason.
REJECTED = "rejected"

#: Batches that were sent to a worker and are not known to be written.
SENT = "sent"

#: Bytes of waiting records that are counted one by one; beyond that their number is estimated.
COUNTED = 32 * 1024 * 1024


def folder() -> Path:
    """Return where the spool lies: ``TRACKING_SPOOL``, else a folder for temporary files.

    That one has the number of the user in its name, and a hash of the secret and the
    database, so that two sites on one machine do not deliver each other's hits.
    """
    if conf.spool:
        return Path(conf.spool)
    database: Any = settings.DATABASES.get("default", {})
    names = [str(database.get(key, "")) for key in ("ENGINE", "HOST", "PORT", "NAME")]
    site = salted_hmac("tracking.pipeline.spool", "\0".join(names), algorithm="sha256").hexdigest()[
        :12
    ]
    return Path(tempfile.gettempdir()) / f"tracking-spool-{os.geteuid()}-{site}"


def prepare(folder: Path) -> None:
    """Make the folder, readable for nobody else, unless it is there.

    Raises:
        OSError: it cannot be made, or is somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if reason := distrusted(folder):
        raise PermissionError(f"{folder} {reason}")


def distrusted(folder: Path) -> str:
    """Return why an existing folder is not to be trusted, or ``""``.

    Anybody can make a folder among the temporary files, before the site does.

    Raises:
        OSError: it cannot be looked at.
    """
    status = os.lstat(folder)
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        return "is no folder"
    if stat.S_ISLNK(status.st_mode) and not conf.spool:
        return "is a link"
    status = os.stat(folder)
    if status.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    if os.geteuid() not in {0, status.st_uid} and status.st_uid != 0:
        return "belongs to another user"
    return ""


def segments(folder: Path) -> list[Path]:
    """Return the files with hits, oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    with suppress(FileNotFoundError):  # nothing was ever written
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # delivered meanwhile
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


class Refused(NamedTuple):
    """What could not be delivered, and never will be as it is.

    Attributes:
        raw: the payload of a record, or what was damaged.
        reason: why.
    """

    raw: bytes
    reason: str


def set_aside(folder: Path, refused: Iterable[Refused]) -> None:
    """Keep what was refused, with its reason, for people to look at and to replay.

    Raises:
        OSError: the disk does not take it.
    """
    lines = [_line(item) for item in refused]
    if not lines:
        return
    prepare(folder)
    place = folder / REJECTED
    place.mkdir(mode=0o700, exist_ok=True)
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}"
    draft = place / f"{name}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(lines)
        draft.rename(place / f"{name}.jsonl")
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _line(refused: Refused) -> str:
    try:
        described: Any = decode(refused.raw).as_dict()
    except BadRecord:
        described = None
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": refused.reason,
        "hit": described,
        "record": base64.b64encode(refused.raw).decode(),
    }
    return json.dumps(entry, default=str) + "\n"


@contextmanager
def taken(folder: Path) -> Iterator[Iterator[tuple[Path, list[Refused]]]]:
    """Go through what was set aside, each file locked while it is looked at.

    Whoever has dealt with a file deletes it.

    Raises:
        OSError: the folder cannot be read.
    """
    files = _each_locked(sorted((folder / REJECTED).glob("*.jsonl")))
    try:
        yield files
    finally:
        files.close()


def _each_locked(paths: list[Path]) -> Any:
    for path in paths:
        try:
            file = path.open()
        except FileNotFoundError:  # another command was faster
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
                    [Refused(base64.b64decode(e["record"]), e["reason"]) for e in entries],
                )


class State(NamedTuple):
    """What a folder has in it.

    Attributes:
        waiting: hits that are not delivered yet; beyond ``COUNTED`` bytes an estimate.
        lag: seconds for which the oldest of them has been waiting.
        files: in how many files they are.
        left_behind: how many of these belong to no process any more.
        size: their bytes.
        rejected: hits that were set aside.
        sent: batches that were sent to a worker and are not known to be written.
        sent_lag: seconds since the first of them was sent, for the last time.
    """

    waiting: int = 0
    lag: float = 0.0
    files: int = 0
    left_behind: int = 0
    size: int = 0
    rejected: int = 0
    sent: int = 0
    sent_lag: float = 0.0


def look(folder: Path) -> State:
    """Return what is in a folder, without taking anything.

    Raises:
        OSError: it cannot be read.
    """
    peeks = []
    for path in segments(folder):
        with suppress(FileNotFoundError):
            peek = Peek(path)
            if peek.waiting:
                peeks.append(peek)
    size = sum(peek.waiting for peek in peeks)
    since = min((peek.since for peek in peeks if peek.since is not None), default=None)
    on_their_way = [path.name for path in (folder / SENT).glob("*.sent")]
    return State(
        waiting=_number(peeks, size),
        lag=0.0 if since is None else max(time.time() - since, 0.0),
        files=len(peeks),
        left_behind=sum(not peek.has_owner for peek in peeks),
        size=size,
        rejected=_lines(folder / REJECTED),
        sent=len(on_their_way),
        sent_lag=_since(on_their_way),
    )


def _since(names: list[str]) -> float:
    """Return how many seconds ago the first of these files was named: by milliseconds."""
    moments = [int(moment) for name in names if (moment := name.partition(".")[0]).isdecimal()]
    return max(time.time() - min(moments) / 1_000, 0.0) if moments else 0.0


def _number(peeks: list[Peek], size: int) -> int:
    counted = number = 0
    for peek in peeks:
        if counted >= COUNTED:
            break
        with suppress(FileNotFoundError):
            number += peek.count()
            counted += peek.waiting
    return round(number * size / counted) if counted else number


def _lines(place: Path) -> int:
    number = 0
    for path in place.glob("*.jsonl"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            number += sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    return number
