"""Values packed into few bytes: MessagePack, with extensions for types beyond JSON.

    >>> unpack(pack(plain({"born": date(2001, 2, 3)}, "value")))
    {'born': datetime.date(2001, 2, 3)}

Packing is deterministic: equal values give equal bytes, whatever order the keys of
their dicts were written in.
"""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec
from django.utils.functional import Promise
from msgspec.msgpack import Ext

#: The extension types of ours. Numbers in use are never given to something else.
_DATE, _NAIVE_DATETIME, _AWARE_DATETIME, _DECIMAL, _UUID, _BIG_INTEGER = range(1, 7)

#: Lists and dicts within each other. MariaDB takes JSON to a depth of 32, and what is
#: packed here ends in a JSON column, a few levels down.
MAX_DEPTH = 24

#: Bits of the largest integer. Python refuses to print one of over 4,300 digits.
MAX_BITS = 8_192

_EPOCH = datetime(1970, 1, 1)  # the zero of wall clocks
_MICROSECOND = timedelta(microseconds=1)


def plain(value: Any, where: str, depth: int = 0) -> Any:  # noqa: C901, PLR0911 - one line per type
    """Return ``value`` in the types that :func:`pack` takes.

    Args:
        value: a JSON value, ``date``, ``datetime``, ``Decimal``, ``UUID`` or lazy string,
            nested as JSON is.
        where: what an error calls the value, such as ``args[0]``.
        depth: how many lists and dicts the value stands in.

    Raises:
        TypeError: it is of another type (a tuple too: it would come back as a list).
        ValueError: it is of the right type and still nothing that could come back equal.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, str):
        return _plain_text(value, where)
    if isinstance(value, int):
        return _plain_integer(int(value), where)
    if isinstance(value, float):
        return _plain_float(value, where)
    if isinstance(value, list):
        _check_depth(depth, where)
        return [plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return plain_mapping(value, where, depth)
    if isinstance(value, datetime):
        return _plain_datetime(value)
    if isinstance(value, date):
        return _extension(_DATE, value.toordinal())
    if isinstance(value, Decimal):
        return _plain_decimal(value, where)
    if isinstance(value, UUID):
        return Ext(_UUID, value.bytes)
    raise TypeError(
        f"{where} is a {type(value).__name__}, which cannot be packed; pass text, a number, True, "
        "False, None, a list, a dict, a date, a datetime, a Decimal or a UUID."
    )


def plain_mapping(mapping: Mapping[str, Any], where: str, depth: int = 0) -> dict[str, Any]:
    """Return a mapping in the types that :func:`pack` takes, its keys in order.

    Raises:
        TypeError, ValueError: as :func:`plain`; and ``TypeError`` for a key that is no text.
    """
    _check_depth(depth, where)
    texts: dict[str, Any] = {}
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise TypeError(f"{where} has the key {key!r}; only text can be a key.")
        texts[_plain_text(key, f"a key of {where}")] = value
    return {key: plain(texts[key], f"{where}[{key!r}]", depth + 1) for key in sorted(texts)}


def pack(value: Any) -> bytes:
    """Return the bytes for a value made of what :func:`plain` returns."""
    return msgspec.msgpack.encode(value)


def unpack(packed: bytes) -> Any:
    """Return the value that ``pack`` was given, in its own types again.

    Raises:
        ValueError: the bytes were not made by :func:`pack`.
    """
    try:
        return _DECODER.decode(packed)
    except (msgspec.DecodeError, InvalidOperation, OverflowError, TypeError) as error:
        raise ValueError("The bytes hold no packed value.") from error


def _check_depth(depth: int, where: str) -> None:
    if depth >= MAX_DEPTH:
        raise ValueError(f"{where} is nested more than {MAX_DEPTH} deep.")


def _plain_text(value: str, where: str) -> str:
    text = str.__str__(value)  # what a SafeString or a member of TextChoices says
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where} is {text!r}, which holds half of a surrogate pair.") from None
    return text


def _plain_integer(value: int, where: str) -> Any:
    if value.bit_length() > MAX_BITS:
        raise ValueError(
            f"{where} is an integer of {value.bit_length():,} bits, over {MAX_BITS:,}."
        )
    if -(2**63) <= value < 2**64:
        return value
    return Ext(_BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _plain_float(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{where} is {value!r}, which JSON has no number for.")
    return float(value)


def _plain_decimal(value: Decimal, where: str) -> Ext:
    if value.is_nan():
        raise ValueError(f"{where} is {value!r}, which would not come back equal.")
    return Ext(_DECIMAL, str(value).encode())


def _plain_datetime(value: datetime) -> Ext:
    # The wall clock and its offset, and not the instant alone: near the years 1 and
    # 9999 the instant in UTC is outside of what a datetime can hold.
    microseconds = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
    offset = value.utcoffset()
    if offset is None:
        return _extension(_NAIVE_DATETIME, [microseconds, value.fold])
    return _extension(_AWARE_DATETIME, [microseconds, offset // _MICROSECOND])


def _extension(code: int, value: Any) -> Ext:
    return Ext(code, msgspec.msgpack.encode(value))


def value_of_extension(code: int, data: memoryview) -> Any:
    """Return the value of an extension of ours, for decoders of MessagePack.

    Raises:
        ArithmeticError, TypeError, ValueError, msgspec.DecodeError: it is none.
    """
    raw = bytes(data)
    if code == _DECIMAL:
        return Decimal(raw.decode())
    if code == _UUID:
        return UUID(bytes=raw)
    if code == _BIG_INTEGER:
        return int.from_bytes(raw, signed=True)
    value = msgspec.msgpack.decode(raw)
    if code == _DATE:
        return date.fromordinal(value)
    if code == _NAIVE_DATETIME:
        microseconds, fold = value
        return (_EPOCH + microseconds * _MICROSECOND).replace(fold=fold)
    if code == _AWARE_DATETIME:
        microseconds, offset = value
        zone = timezone(offset * _MICROSECOND) if offset else UTC
        return (_EPOCH + microseconds * _MICROSECOND).replace(tzinfo=zone)
    raise ValueError(f"unknown extension type {code}")


_DECODER = msgspec.msgpack.Decoder(ext_hook=value_of_extension)
