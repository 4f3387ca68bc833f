"""Spool files, whole and damaged, and a writer that takes what can be read from them."""

import json
import struct
import time
from base64 import b64decode
from os import utime
from pathlib import Path

from tracking.hits import Hit
from tracking.pipeline import write_batch
from tracking.pipeline.spool import Spool, save_rejected
from tracking.pipeline.spool.header import Header
from tracking.pipeline.spool.records import OVERHEAD, encode_hit


def hit(number=0, **values):
    return Hit(kind="open", **{"data": {"n": number}, **values})


def save_hits(folder: Path, hits, written=0, batch=0, **options) -> Path:
    """Save hits as a process that dies, and return its file.

    Args:
        folder: the folder of the spool.
        hits: the hits.
        written: how many of them the process wrote.
        batch: how many of the others it was about to write.
        options: of :class:`Spool`.
    """
    spool = Spool(folder, **options)
    spool.append(hits)
    path = spool._active.path
    if written:
        spool.settle_batch(spool.take_batch(written))
    if batch:
        spool.take_batch(batch)
    spool.close()
    return path


def as_version_2(content: bytes) -> bytes:
    """Return a file as the version before the site's stamp would have written it."""
    header = Header.unpack(content)
    records = content[header.size :]
    start = 24
    positions = [position - header.size + start for position in header[1:]]
    return struct.pack("<8sQQ", b"TRKSP\x002\n", *positions) + records


def spans(content: bytes, hits) -> list[range]:
    """Return the positions of the bytes of each hit."""
    start = Header.unpack(content).size
    found = []
    for one in hits:
        found.append(range(start, start + OVERHEAD + len(encode_hit(one))))
        start = found[-1].stop
    return found


def write_all(folder: Path, limit=1_000, **options) -> list[Hit]:
    """Write what dead processes left, as a process does, and return the hits."""
    spool, written = Spool(folder, **options), []
    while spool.adopt_orphans():
        while batch := spool.take_batch(limit):
            result = write_batch.write_records(
                batch.items, lambda hits, _key: written.extend(hits) or 0
            )
            save_rejected(folder, result.rejected)
            spool.settle_batch(batch)
    spool.close()
    return written


def set_aside(folder: Path) -> list[bytes]:
    """Return the records that were set aside."""
    lines = [
        line for path in folder.glob("rejected/*.jsonl") for line in path.read_text().splitlines()
    ]
    return [b64decode(json.loads(line)["record"]) for line in lines]


def make_old(path: Path) -> None:
    """Let a file look as if it was written ten minutes ago."""
    utime(path, (time.time() - 600,) * 2)
