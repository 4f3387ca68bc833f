"""Hits as records of a file: framed, so that a damaged one can be told from the others.

A record is a marker, a CRC-32, its length and the moment it was made, then the hit as
MessagePack::

    C1 48 49 54 | CRC-32, 4 bytes | length, 4 bytes | POSIX time, 8 bytes | payload

The CRC covers all that follows it. The byte C1 occurs neither in UTF-8 nor as a type of
MessagePack: no text of a stranger can look like the beginning of a record, and where one
is damaged, the next is found by its marker.

    >>> from tracking.hits import Hit
    >>> hit = Hit(kind="open", data={"campaign": "spring"})
    >>> items, used = scan(framed(encode(hit)), at_end=True)
    >>> decode(items[0].payload) == hit
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
from tracking.hits import AnyHit, PageHit
from tracking.tokens import packing

MARKER = b"\xc1HIT"

#: Bytes of a payload. What is said to be longer is damaged.
MAX_PAYLOAD = 4 * 1024 * 1024

_CHECKSUM = struct.Struct("<I")
_SAID = struct.Struct("<Id")
_BODY = len(MARKER) + _CHECKSUM.size
OVERHEAD = _BODY + _SAID.size


class BadRecord(ValueError):
    """A payload that holds no hit."""


class Record(NamedTuple):
    """What was found whole.

    Attributes:
        payload: the hit, for :func:`decode`.
        time: when the record was made, in POSIX seconds.
    """

    payload: bytes
    time: float


class Damage(NamedTuple):
    """What was found between records, or as the torn end of the last one."""

    raw: bytes


Item = Record | Damage


def encode(hit: AnyHit) -> bytes:
    """Return a hit as bytes.

    Values beyond JSON come back as they went in, as far as a token could carry them too;
    all others as Django writes them into a JSON column. An aware time comes back as the same
    instant, in UTC.

    Raises:
        TypeError, ValueError, OverflowError: there is a value that no JSON column takes either.
    """
    try:
        return _ENCODER.encode(_plain(hit))
    except (TypeError, ValueError, OverflowError):
        # A tuple, a duration, half of a surrogate pair: rare, and no reason to lose the hit.
        return _ENCODER.encode(_as_json(hit))


#: What is packed as it is.
_SIMPLE = frozenset({str, bool, type(None)})
#: Bits that an integer of MessagePack cannot have in either direction.
_WORD = 64


def _is_simple(value: Any) -> bool:
    return type(value) in _SIMPLE or (type(value) is int and value.bit_length() < _WORD)


def _is_simple_or_list(value: Any) -> bool:
    return _is_simple(value) or (type(value) is list and all(map(_is_simple, value)))


#: Of keys: a number packs, too, and would not be taken for a key when it is read.
_KEYS = frozenset({str})


def _plain(hit: AnyHit) -> AnyHit:
    if isinstance(hit, PageHit) or (
        _KEYS.issuperset(map(type, hit.data)) and all(map(_is_simple_or_list, hit.data.values()))
    ):
        return hit
    return msgspec.structs.replace(hit, data=packing.packable_mapping(hit.data, "data"))


def _as_json(hit: AnyHit) -> AnyHit:
    text = json.dumps(hit.as_dict(), cls=DjangoJSONEncoder, ensure_ascii=False)
    return hits.from_dict(json.loads(text.encode(errors="replace")))


def _text(value: Any) -> str:
    if isinstance(value, str | Promise):  # a SafeString, a lazy translation
        return str.__str__(str(value))
    raise TypeError(f"a {type(value).__name__} cannot be packed.")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_text)
_DECODER = msgspec.msgpack.Decoder(AnyHit, ext_hook=packing.decode_extension)


def decode(payload: bytes) -> AnyHit:
    """Return the hit that ``encode`` was given.

    Raises:
        BadRecord: the payload holds none, or that of another version of this app.
    """
    try:
        hit: AnyHit = _DECODER.decode(payload)
    except (msgspec.DecodeError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise BadRecord(f"no hit: {error!r}") from error
    return hit


def framed(payload: bytes, moment: float | None = None) -> bytes:
    """Return a payload as a record.

    Args:
        payload: what :func:`encode` has returned.
        moment: when it was made, in POSIX seconds; by default now.

    Raises:
        ValueError: it is longer than ``MAX_PAYLOAD``.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a hit of {len(payload):,} bytes, over {MAX_PAYLOAD:,}.")
    body = _SAID.pack(len(payload), time.time() if moment is None else moment) + payload
    return MARKER + _CHECKSUM.pack(crc32(body)) + body


def scan(buffer: bytes, *, at_end: bool, limit: int | None = None) -> tuple[list[Item], int]:
    """Return what is in a piece of a file, and how many bytes of it that takes.

    Args:
        buffer: the piece; it begins where the one before it has ended.
        at_end: whether nothing follows it, so that what is incomplete stays so.
        limit: how many records are wanted at most.
    """
    items: list[Item] = []
    position = 0
    while position < len(buffer) and (limit is None or len(items) < limit):
        end = _end_of(buffer, position)
        if end is not None and end <= len(buffer) and (record := _record(buffer, position, end)):
            items.append(record)
        elif end is not None and end > len(buffer) and not at_end:
            break
        else:
            end = _next_start(buffer, position + 1, at_end=at_end)
            if end <= position:
                break
            items.append(Damage(buffer[position:end]))
        position = end
    return items, position


def _end_of(buffer: bytes, position: int) -> int | None:
    """Return where the record that begins here says that it ends; ``None`` if none does."""
    start = buffer[position : position + len(MARKER)]
    if not MARKER.startswith(start):
        return None
    if position + OVERHEAD > len(buffer):
        return position + OVERHEAD
    length, _ = _SAID.unpack_from(buffer, position + _BODY)
    return position + OVERHEAD + int(length) if length <= MAX_PAYLOAD else None


def _record(buffer: bytes, position: int, end: int) -> Record | None:
    body = memoryview(buffer)[position + _BODY : end]
    (checksum,) = _CHECKSUM.unpack_from(buffer, position + len(MARKER))
    if len(body) < _SAID.size or crc32(body) != checksum:
        return None
    _, moment = _SAID.unpack_from(body)
    return Record(bytes(body[_SAID.size :]), moment)


def _next_start(buffer: bytes, position: int, *, at_end: bool) -> int:
    """Return where the next whole record begins, or the first of which the end is not there yet."""
    while (position := buffer.find(MARKER, position)) >= 0:
        end = _end_of(buffer, position)
        if end is not None and (
            _record(buffer, position, end) if end <= len(buffer) else not at_end
        ):
            return position
        position += 1
    # A marker may be cut in two by the end of the piece.
    return len(buffer) if at_end else len(buffer) - len(MARKER) + 1
