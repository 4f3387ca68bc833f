"""The header of a spool file: whose it is, and how far its records are written.

Two equal copies, each with a checksum of its own::

    TRKSPOL3 | stamp of the site, 16 bytes | written to, 8 | end of the batch, 8 | CRC-32, 4 | 4

One flipped bit, or a process that reads while another writes, spoils one copy at most. If both are
damaged but name the same site, the positions are those of a new file: all of its records are
written again, which is harmless, because rows are known by their keys.

Files of version 2, which hits of an earlier release may wait in, have one copy, without a site and
without a checksum.
"""

import struct
from typing import NamedTuple, Self
from zlib import crc32

_MARKER = b"TRKSPOL3"
_CONTENT = struct.Struct("<8s16sQQ")
_CHECKSUM = struct.Struct("<I4x")
_COPY_SIZE = _CONTENT.size + _CHECKSUM.size

#: Bytes before the first record.
HEADER_SIZE = 2 * _COPY_SIZE

_MARKER_V2 = b"TRKSP\x002\n"
_HEADER_V2 = struct.Struct("<8sQQ")

#: What each later version begins with, too.
_FAMILY = _MARKER[:-1]


class BadHeader(ValueError):
    """A header that this version cannot read."""


class NewerHeader(BadHeader):
    """A header of a later version. Its records may have another form, too."""


class Header(NamedTuple):
    """What stands before the records of a file.

    Attributes:
        stamp: the stamp of its site; ``None`` in a file of version 2.
        written_to: the position up to which its records are written.
        batch_end: the end of the batch being written; not beyond ``written_to`` without one.
    """

    stamp: bytes | None
    written_to: int
    batch_end: int

    @property
    def size(self) -> int:
        """Bytes before the first record."""
        return _HEADER_V2.size if self.stamp is None else HEADER_SIZE

    @classmethod
    def new(cls, stamp: bytes | None) -> Self:
        """Return the header of a file none of whose records are written."""
        start = cls(stamp, 0, 0).size
        return cls(stamp, start, start)

    def pack(self) -> bytes:
        """Return the header as bytes, in the version that it was read from."""
        if self.stamp is None:
            return _HEADER_V2.pack(_MARKER_V2, self.written_to, self.batch_end)
        content = _CONTENT.pack(_MARKER, self.stamp, self.written_to, self.batch_end)
        return 2 * (content + _CHECKSUM.pack(crc32(content)))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the header at the start of a file.

        Args:
            data: the first ``HEADER_SIZE`` bytes, or all of a shorter file.

        Raises:
            BadHeader: it is damaged, cut, or of another format.
        """
        if len(data) >= HEADER_SIZE:
            contents = [data[start : start + _CONTENT.size] for start in (0, _COPY_SIZE)]
            for start, content in zip((0, _COPY_SIZE), contents, strict=True):
                (checksum,) = _CHECKSUM.unpack_from(data, start + _CONTENT.size)
                if content.startswith(_MARKER) and crc32(content) == checksum:
                    return cls(*_CONTENT.unpack(content)[1:])
            first, second = (_CONTENT.unpack(content)[:2] for content in contents)
            if first == second and first[0] == _MARKER:
                return cls.new(first[1])
        if len(data) >= _HEADER_V2.size and data.startswith(_MARKER_V2):
            return cls(None, *_HEADER_V2.unpack_from(data)[1:])
        raise _reason(data)


def _reason(data: bytes) -> BadHeader:
    start = data[: len(_MARKER)]
    if len(data) < HEADER_SIZE and (_MARKER.startswith(start) or _MARKER_V2.startswith(start)):
        return BadHeader("is cut in its header")
    versions = {
        data[copy + len(_FAMILY) : copy + len(_MARKER)]
        for copy in (0, _COPY_SIZE)
        if data.startswith(_FAMILY, copy)
    }
    if len(versions) == 1 and versions.pop() > _MARKER[-1:]:
        return NewerHeader("was written by a newer version")
    return BadHeader("has an unknown format")
