"""Hits as records of a file, framed so that a damaged one does not affect the others.

A hit that comes from a request is an array, a :mod:`raw hit <tracking.raw_hits>`; one that was made
elsewhere is a map with the names of its fields.

A record is a marker, a CRC-32, its length and the time it was made, then the hit as
MessagePack::

    C1 48 49 54 | CRC-32, 4 bytes | length, 4 bytes | POSIX time, 8 bytes | payload

The CRC covers all bytes after it. The byte C1 occurs neither in UTF-8 nor as a type of
MessagePack: no text in a hit can look like the start of a record, and after damage the next
record is found by its marker.

    >>> from tracking.hits import Hit
    >>> hit = Hit(kind="open", data={"campaign": "spring"})
    >>> items, used = parse_records(frame_record(encode_hit(hit)), at_end=True)
    >>> decode_hit(items[0].payload) == hit
    True
"""

import json
import struct
import time
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise

from tracking import hits
from tracking.hits import AnyHit, Hit, PageHit
from tracking.raw_hits import AnyRawHit, RawHit, RawPageHit
from tracking.tokens import packing

MARKER = b"\xc1HIT"

#: Most bytes of a payload. A record that claims more is damaged.
MAX_PAYLOAD = 4 * 1024 * 1024

_CHECKSUM = struct.Struct("<I")
_START = struct.Struct("<4sI")
_LENGTH_AND_TIME = struct.Struct("<Id")
_BODY = len(MARKER) + _CHECKSUM.size
OVERHEAD = _BODY + _LENGTH_AND_TIME.size


class BadRecord(ValueError):
    """A payload that is not a hit."""


class Record(NamedTuple):
    """An undamaged record.

    Attributes:
        payload: the encoded hit, for :func:`decode_hit`.
        time: when the record was made, in POSIX seconds.
    """

    payload: bytes
    time: float


class DamagedBytes(NamedTuple):
    """Bytes between records, or the incomplete last record."""

    raw: bytes


Item = Record | DamagedBytes


def encode_hit(hit: AnyHit | AnyRawHit) -> bytes:
    """Return a hit as bytes.

    Values that JSON has no type for come back unchanged if a token can carry them, too; others
    come back as Django writes them to a JSON column. An aware time comes back as the same
    instant, in UTC.

    Raises:
        TypeError, ValueError, OverflowError: a value fits no JSON column either.
    """
    try:
        return _ENCODER.encode(hit if isinstance(hit, _PAGES) else _packable(hit))
    except (TypeError, ValueError, OverflowError):
        # A tuple, a duration, a lone surrogate: rare, but no reason to lose the hit.
        return _ENCODER.encode(_as_json_values(hit))


#: Types that MessagePack encodes unchanged.
_SIMPLE_TYPES = frozenset({str, bool, type(None)})
#: MessagePack encodes integers with fewer bits than this, of either sign.
_MAX_INT_BITS = 64


def _is_simple(value: Any) -> bool:
    return type(value) in _SIMPLE_TYPES or (
        type(value) is int and value.bit_length() < _MAX_INT_BITS
    )


def _is_simple_or_list(value: Any) -> bool:
    return _is_simple(value) or (type(value) is list and all(map(_is_simple, value)))


#: Types of keys: a number as a key is encoded, but refused when it is decoded.
_STRING_ONLY = frozenset({str})


def _packable(hit: Hit | RawHit) -> Hit | RawHit:
    data = hit.data
    if _STRING_ONLY.issuperset(map(type, data)) and (
        _SIMPLE_TYPES.issuperset(map(type, data.values()))
        or all(map(_is_simple_or_list, data.values()))
    ):
        return hit
    return msgspec.structs.replace(hit, data=packing.packable_mapping(data, "data"))


_PAGES = (RawPageHit, PageHit)
_RAW = (RawPageHit, RawHit)


def _as_json_values(hit: AnyHit | AnyRawHit) -> AnyHit:
    if isinstance(hit, _RAW):
        hit = hit.to_hit()
    text = json.dumps(hit.as_dict(), cls=DjangoJSONEncoder, ensure_ascii=False)
    return hits.from_dict(json.loads(text.encode(errors="replace")))


def _plain_text(value: Any) -> str:
    if isinstance(value, str | Promise):  # a SafeString, a lazy translation
        return str.__str__(str(value))
    raise TypeError(f"a {type(value).__name__} cannot be encoded.")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain_text)
_DECODER = msgspec.msgpack.Decoder(AnyHit, ext_hook=packing.decode_extension)
_RAW_DECODER = msgspec.msgpack.Decoder(AnyRawHit, ext_hook=packing.decode_extension)
#: The first bytes of arrays with fewer than 16 items, in MessagePack.
_ARRAYS = frozenset(range(0x90, 0xA0))


def decode_hit(payload: bytes) -> AnyHit:
    """Return the hit that :func:`encode_hit` was given, or that its raw hit becomes.

    Raises:
        BadRecord: the payload is not a hit, or one of another version of this app.
    """
    try:
        if payload and payload[0] in _ARRAYS:
            raw: AnyRawHit = _RAW_DECODER.decode(payload)
            return raw.to_hit()
        hit: AnyHit = _DECODER.decode(payload)
    except _DECODING_ERRORS as error:
        raise BadRecord(f"not a hit: {error!r}") from error
    return hit


#: ``OSError``: a time outside of what the system's clock knows.
_DECODING_ERRORS = (
    *(msgspec.DecodeError, ArithmeticError, RecursionError),
    *(TypeError, ValueError, OSError),
)


def frame_record(payload: bytes, moment: float | None = None) -> bytes:
    """Return a payload as a record.

    Args:
        payload: an encoded hit.
        moment: when it was made, in POSIX seconds; by default now.

    Raises:
        ValueError: the payload is longer than ``MAX_PAYLOAD``.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a hit of {len(payload):,} bytes; the limit is {MAX_PAYLOAD:,}.")
    body = _LENGTH_AND_TIME.pack(len(payload), time.time() if moment is None else moment) + payload
    return _START.pack(MARKER, crc32(body)) + body


def make_record(hit: AnyHit | AnyRawHit) -> bytes:
    """Return a hit as a record. That of a request was made when the hit was.

    Raises:
        TypeError, ValueError, OverflowError: the hit cannot be encoded, or is too long.
    """
    return frame_record(encode_hit(hit), hit.time if isinstance(hit, _RAW) else None)


def parse_records(
    buffer: bytes, *, at_end: bool, limit: int | None = None
) -> tuple[list[Item], int]:
    """Return the records in a piece of a file, and how many of its bytes they take.

    Args:
        buffer: the piece; it begins where the piece before it ended.
        at_end: whether nothing follows it, so that an incomplete record is damaged.
        limit: how many records at most; by default all.
    """
    items: list[Item] = []
    position = 0
    while position < len(buffer) and (limit is None or len(items) < limit):
        end = _record_end(buffer, position)
        if (
            end is not None
            and end <= len(buffer)
            and (record := _parse_record(buffer, position, end))
        ):
            items.append(record)
        elif end is not None and end > len(buffer) and not at_end:
            break
        else:
            end = _next_start(buffer, position + 1, at_end=at_end)
            if end <= position:
                break
            items.append(DamagedBytes(buffer[position:end]))
        position = end
    return items, position


def record_time(head: bytes) -> float | None:
    """Return when a record was made, in POSIX seconds, without a look at its checksum.

    Args:
        head: its first ``OVERHEAD`` bytes.

    Returns:
        The time; ``None`` if these bytes do not begin a record.
    """
    if len(head) < OVERHEAD or not head.startswith(MARKER):
        return None
    return float(_LENGTH_AND_TIME.unpack_from(head, _BODY)[1])


def count_records(buffer: bytes) -> tuple[int, int]:
    """Return how many records a piece of a file holds, and how many bytes they take.

    Only lengths are read, no checksums, so the number is right for an undamaged piece.
    """
    number = position = 0
    while position < len(buffer):
        end = _record_end(buffer, position)
        if end is None:
            position = buffer.find(MARKER, position + 1)
            if position < 0:
                return number, len(buffer)
        elif end > len(buffer):
            break
        else:
            number, position = number + 1, end
    return number, position


def _record_end(buffer: bytes, position: int) -> int | None:
    """Return where the record at ``position`` ends by its header; ``None`` without a record."""
    start = buffer[position : position + len(MARKER)]
    if not MARKER.startswith(start):
        return None
    if position + OVERHEAD > len(buffer):
        return position + OVERHEAD
    length, _ = _LENGTH_AND_TIME.unpack_from(buffer, position + _BODY)
    return position + OVERHEAD + int(length) if length <= MAX_PAYLOAD else None


def _parse_record(buffer: bytes, position: int, end: int) -> Record | None:
    body = memoryview(buffer)[position + _BODY : end]
    (checksum,) = _CHECKSUM.unpack_from(buffer, position + len(MARKER))
    if len(body) < _LENGTH_AND_TIME.size or crc32(body) != checksum:
        return None
    _, moment = _LENGTH_AND_TIME.unpack_from(body)
    return Record(bytes(body[_LENGTH_AND_TIME.size :]), moment)


def _next_start(buffer: bytes, position: int, *, at_end: bool) -> int:
    """Return where the next record begins that is whole, or whose end is not read yet."""
    while (position := buffer.find(MARKER, position)) >= 0:
        end = _record_end(buffer, position)
        if end is not None and (
            _parse_record(buffer, position, end) if end <= len(buffer) else not at_end
        ):
            return position
        position += 1
    # The piece may end in the middle of a marker.
    return len(buffer) if at_end else len(buffer) - len(MARKER) + 1
