"""Values as Django's fields would give them to a database, without a field in between.

A field converts one value at a time, by half a dozen calls; with twenty-five columns that is
most of what a row costs. Here each database has one plain function for each kind of value
that needs any. A test compares the rows of both, byte by byte.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from operator import attrgetter
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.core.serializers.json import DjangoJSONEncoder
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import GenericIPAddressField

from tracking.db.column_values import replace_nul

#: What a mapping with nothing in it is in JSON.
_EMPTY_OBJECT = "{}"

#: How JSON spells NUL, and a backslash followed by ``u0000``.
_ESCAPED_NUL = "\\u0000"


class ParameterConverters(NamedTuple):
    """How one database wants what it does not take as it is.

    Attributes:
        uuid: converts a UUID.
        time: of a time as :func:`tracking.db.column_values.storable_time` returns it.
        data: of what becomes JSON.
        address: of an IP address or ``None``.
        number: of a number or ``None``.
    """

    uuid: Callable[[UUID], Any]
    time: Callable[[datetime], Any]
    json: Callable[[Mapping[str, Any]], Any]
    ip_address: Callable[[str | None], Any]
    number: Callable[[float | None], Any]


def converters_for(connection: BaseDatabaseWrapper) -> ParameterConverters:
    """Return how the database behind ``connection`` wants its values.

    For one that this app does not know it is :data:`LEAVE_TO_DJANGO`, which Django's fields take.
    """
    if connection.vendor == "postgresql":
        return _POSTGRESQL
    if connection.vendor in {"sqlite", "mysql"}:
        # Both have no time zones: the times are of the zone that the connection has.
        adapt = connection.ops.adapt_datetimefield_value
        time = _utc_time_converter(adapt) if connection.timezone is UTC else adapt
        return ParameterConverters(
            _uuid_hex, time, _json_text, _address_converter(connection), _unchanged
        )
    return LEAVE_TO_DJANGO


def replace_nul_everywhere(value: Any) -> Any:
    """Return ``value`` with NUL characters replaced wherever there are texts in it."""
    if isinstance(value, str):
        return replace_nul(value)
    if isinstance(value, Mapping):
        return {
            replace_nul_everywhere(key): replace_nul_everywhere(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [replace_nul_everywhere(item) for item in value]
    return value


#: All databases read a UUID without its hyphens.
_uuid_hex = attrgetter("hex")

#: One for all, as it keeps nothing between two calls; ``json.dumps`` would make it each time.
_encode_like_django = DjangoJSONEncoder().encode


def _json_text(data: Mapping[str, Any]) -> str:
    if not data:
        return _EMPTY_OBJECT
    try:
        text = _encode_like_django(data)
    except TypeError:  # a mapping that is no dict, or what cannot be written at all
        return _encode_like_django(replace_nul_everywhere(data))
    # NUL is rare, and to look for it in the text costs less than a walk through the data.
    return _encode_like_django(replace_nul_everywhere(data)) if _ESCAPED_NUL in text else text


#: What a value of JSON is mostly, and what every encoder spells alike.
_SIMPLE_TYPES = frozenset({str, int, bool, type(None)})

_STRING_ONLY = frozenset({str})

_encode_fast = msgspec.json.Encoder().encode


def _jsonb_text(data: Mapping[str, Any]) -> str:
    """Return what becomes ``jsonb``, which keeps the values and not their spelling."""
    if (
        type(data) is dict
        and _SIMPLE_TYPES.issuperset(map(type, data.values()))
        and _STRING_ONLY.issuperset(map(type, data))
    ):
        try:
            text = _encode_fast(data).decode()
        except (TypeError, ValueError, OverflowError):  # a number or a key that it cannot spell
            return _json_text(data)
        if _ESCAPED_NUL not in text:
            return text
    return _json_text(data)


def _iso_time(time: datetime) -> str:
    if time.tzinfo is UTC:  # a tenth of the time that str() takes
        return _encode_fast(time)[1:-1].decode()
    return str(time)


def _utc_time_converter(adapt: Callable[[datetime], Any]) -> Callable[[datetime], Any]:
    def spelled(time: datetime) -> Any:
        if time.tzinfo is UTC:
            return time.isoformat(" ")[: -len("+00:00")]
        return adapt(time)

    return spelled


def _address_converter(connection: BaseDatabaseWrapper) -> Callable[[str | None], Any]:
    field = GenericIPAddressField()

    def spelled(address: str | None) -> Any:
        if address and _is_canonical(address):
            return address
        return field.get_db_prep_save(address, connection)

    return spelled


def _is_canonical(address: str) -> bool:
    """Return whether an address is IPv6 as its field would write it; that takes ten times longer.

    One with an IPv4 address in it has several spellings, which the C library and Python do
    not agree about.
    """
    if ":" not in address or "." in address:
        return False
    try:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, address)) == address
    except (OSError, ValueError):  # none at all, or with NUL
        return False


def _checked_address(address: str | None) -> str | None:
    # Parsed first: PostgreSQL would take a network for an address too. It takes any spelling
    # of an address, so that the C library, which is the fastest, only has to find it valid.
    if not address:
        return None
    try:
        inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        return str(ip_address(address))
    return address


def _number_text(number: float | None) -> str | None:
    return None if number is None else repr(number)


def _unchanged(value: Any) -> Any:
    return value


#: Nothing is converted, except that there is no NUL: what a model instance has.
LEAVE_TO_DJANGO = ParameterConverters(
    _unchanged, _unchanged, replace_nul_everywhere, _unchanged, _unchanged
)

#: All is text, which COPY and INSERT both read as the type of the column.
_POSTGRESQL = ParameterConverters(_uuid_hex, _iso_time, _jsonb_text, _checked_address, _number_text)
