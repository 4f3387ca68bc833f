"""Pack values into few bytes: MessagePack, with extensions for types beyond JSON.

    >>> unpack(pack(packable({"born": date(2001, 2, 3)}, "value")))
    {'born': datetime.date(2001, 2, 3)}

Packing is deterministic: equal values give equal bytes, whatever the order of their keys.
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

#: Our extension types. A number is never reused for another type.
_DATE, _NAIVE_DATETIME, _AWARE_DATETIME, _DECIMAL, _UUID, _BIG_INTEGER = range(1, 7)

#: How deep lists and dicts may be nested. The values end up a few levels down in a JSON column,
#: and MariaDB accepts JSON to a depth of 32.
MAX_DEPTH = 24

#: Bits of the largest integer. Python refuses to print more than 4,300 digits.
MAX_BITS = 8_192

_EPOCH = datetime(1970, 1, 1)  # naive, as wall clocks are
_MICROSECOND = timedelta(microseconds=1)


def packable(value: Any, where: str, depth: int = 0) -> Any:  # noqa: C901, PLR0911 - one line per type
    """Convert a value to the types that :func:`pack` accepts.

    Args:
        value: a JSON value, ``date``, ``datetime``, ``Decimal``, ``UUID`` or lazy string,
            nested as in JSON.
        where: the name of the value in error messages, such as ``args[0]``.
        depth: how many lists and dicts enclose the value.

    Returns:
        The converted value.

    Raises:
        TypeError: the value has another type. (A tuple would come back as a list.)
        ValueError: the value would not come back equal, or is too deep or too large.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, str):
        return _packable_text(value, where)
    if isinstance(value, int):
        return _packable_integer(int(value), where)
    if isinstance(value, float):
        return _packable_float(value, where)
    if isinstance(value, list):
        _check_depth(depth, where)
        return [packable(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return packable_mapping(value, where, depth)
    if isinstance(value, datetime):
        return _packable_datetime(value)
    if isinstance(value, date):
        return _extension(_DATE, value.toordinal())
    if isinstance(value, Decimal):
        return _packable_decimal(value, where)
    if isinstance(value, UUID):
        return Ext(_UUID, value.bytes)
    raise TypeError(
        f"{where} is a {type(value).__name__}, which cannot be packed. Pass a string, a number, "
        "True, False, None, a list, a dict, a date, a datetime, a Decimal or a UUID."
    )


def packable_mapping(mapping: Mapping[str, Any], where: str, depth: int = 0) -> dict[str, Any]:
    """Convert a mapping to the types that :func:`pack` accepts, and sort its keys.

    Args:
        mapping: values by their names.
        where: the name of the mapping in error messages.
        depth: how many lists and dicts enclose the mapping.

    Returns:
        The converted mapping.

    Raises:
        TypeError: a key is not a string, or as :func:`packable` raises it.
        ValueError: as :func:`packable` raises it.
    """
    _check_depth(depth, where)
    texts: dict[str, Any] = {}
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise TypeError(f"{where} has the key {key!r}, which is not a string.")
        texts[_packable_text(key, f"a key of {where}")] = value
    return {key: packable(texts[key], f"{where}[{key!r}]", depth + 1) for key in sorted(texts)}


def pack(value: Any) -> bytes:
    """Return the bytes of a value that :func:`packable` returned."""
    return msgspec.msgpack.encode(value)


def unpack(packed: bytes) -> Any:
    """Return the value that was passed to :func:`pack`, in its original types.

    Args:
        packed: the bytes.

    Raises:
        ValueError: the bytes are not from :func:`pack`.
    """
    try:
        return _DECODER.decode(packed)
    except (msgspec.DecodeError, InvalidOperation, OverflowError, TypeError) as error:
        raise ValueError("The bytes are not a packed value.") from error


def _check_depth(depth: int, where: str) -> None:
    if depth >= MAX_DEPTH:
        raise ValueError(f"{where} is nested more than {MAX_DEPTH} deep.")


def _packable_text(value: str, where: str) -> str:
    text = str.__str__(value)  # a SafeString and a member of TextChoices become plain
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where} is {text!r}, which contains a lone surrogate.") from None
    return text


def _packable_integer(value: int, where: str) -> Any:
    if value.bit_length() > MAX_BITS:
        raise ValueError(
            f"{where} is an integer of {value.bit_length():,} bits; the limit is {MAX_BITS:,}."
        )
    if -(2**63) <= value < 2**64:
        return value
    return Ext(_BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _packable_float(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{where} is {value!r}, which JSON cannot represent.")
    return float(value)


def _packable_decimal(value: Decimal, where: str) -> Ext:
    if value.is_nan():
        raise ValueError(f"{where} is {value!r}, which would not come back equal.")
    return Ext(_DECIMAL, str(value).encode())


def _packable_datetime(value: datetime) -> Ext:
    # Stored as wall clock and offset, not as an instant: near the years 1 and 9999 the instant in
    # UTC is outside the range of a datetime.
    microseconds = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
    offset = value.utcoffset()
    if offset is None:
        return _extension(_NAIVE_DATETIME, [microseconds, value.fold])
    return _extension(_AWARE_DATETIME, [microseconds, offset // _MICROSECOND])


def _extension(code: int, value: Any) -> Ext:
    return Ext(code, msgspec.msgpack.encode(value))


def decode_extension(code: int, data: memoryview) -> Any:
    """Return the value of one of our extension types; an ``ext_hook`` of msgspec decoders.

    Args:
        code: the number of the extension type.
        data: the bytes of the value.

    Raises:
        ArithmeticError, TypeError, ValueError, msgspec.DecodeError: the data is invalid.
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
    raise ValueError(f"Unknown extension type {code}.")


_DECODER = msgspec.msgpack.Decoder(ext_hook=decode_extension)
