"""Convert values for a database as Django's fields do, but faster.

A field converts one value by half a dozen calls; with twenty-five columns that is most of the
cost of a row. Here each database has one function per kind of value that needs converting.
A test compares the rows of both ways, byte by byte.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
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

#: An empty mapping as JSON.
_EMPTY_OBJECT = "{}"

#: NUL as JSON escapes it. (Also found in an escaped backslash followed by ``u0000``.)
_ESCAPED_NUL = "\\u0000"


class ParameterConverters(NamedTuple):
    """Functions that convert values for one database.

    Attributes:
        uuid: converts a UUID.
        time: converts a time that :func:`tracking.db.column_values.storable_time` returned.
        json: converts a mapping for a JSON column.
        ip_address: converts an IP address or ``None``.
        number: converts a number or ``None``.
        decimal: converts a decimal number.
    """

    uuid: Callable[[UUID], Any]
    time: Callable[[datetime], Any]
    json: Callable[[Mapping[str, Any]], Any]
    ip_address: Callable[[str | None], Any]
    number: Callable[[float | None], Any]
    decimal: Callable[[Decimal], Any]


def converters_for(connection: BaseDatabaseWrapper) -> ParameterConverters:
    """Return the converters for the database of a connection.

    For a database that this app does not know they are :data:`LEAVE_TO_DJANGO`: their values are
    fit for model instances.
    """
    if connection.vendor == "postgresql":
        return _POSTGRESQL
    if connection.vendor in {"sqlite", "mysql"}:
        # Both store times without a zone, in the zone of the connection.
        adapt = connection.ops.adapt_datetimefield_value
        time = _utc_time_converter(adapt) if connection.timezone is UTC else adapt
        return ParameterConverters(
            _uuid_hex, time, _json_text, _address_converter(connection), _unchanged, str
        )
    return LEAVE_TO_DJANGO


def replace_nul_everywhere(value: Any) -> Any:
    """Return ``value`` with NUL characters replaced in all texts in it."""
    if isinstance(value, str):
        return replace_nul(value)
    if isinstance(value, Mapping):
        return {
            replace_nul_everywhere(key): replace_nul_everywhere(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [replace_nul_everywhere(item) for item in value]
    return value


#: All databases accept a UUID without hyphens.
_uuid_hex = attrgetter("hex")

#: Made once: it has no state. ``json.dumps`` would make an encoder for each call.
_encode_like_django = DjangoJSONEncoder().encode


def _json_text(data: Mapping[str, Any]) -> str:
    if not data:
        return _EMPTY_OBJECT
    try:
        text = _encode_like_django(data)
    except TypeError:  # a mapping other than dict, or an unsupported value
        return _encode_like_django(replace_nul_everywhere(data))
    # NUL is rare; searching the text is cheaper than walking through the data.
    return _encode_like_django(replace_nul_everywhere(data)) if _ESCAPED_NUL in text else text


#: The usual types of values; all encoders write them alike.
_SIMPLE_TYPES = frozenset({str, int, bool, type(None)})

_STRING_ONLY = frozenset({str})

_encode_fast = msgspec.json.Encoder().encode


def _jsonb_text(data: Mapping[str, Any]) -> str:
    """Return the text of a ``jsonb`` value, which keeps the values but not their formatting."""
    if (
        type(data) is dict
        and _SIMPLE_TYPES.issuperset(map(type, data.values()))
        and _STRING_ONLY.issuperset(map(type, data))
    ):
        try:
            text = _encode_fast(data).decode()
        except (TypeError, ValueError, OverflowError):  # a number or key that it cannot encode
            return _json_text(data)
        if _ESCAPED_NUL not in text:
            return text
    return _json_text(data)


def _iso_time(time: datetime) -> str:
    if time.tzinfo is UTC:  # ten times as fast as str()
        return _encode_fast(time)[1:-1].decode()
    return str(time)


def _utc_time_converter(adapt: Callable[[datetime], Any]) -> Callable[[datetime], Any]:
    def convert(time: datetime) -> Any:
        if time.tzinfo is UTC:
            return time.isoformat(" ")[: -len("+00:00")]
        return adapt(time)

    return convert


def _address_converter(connection: BaseDatabaseWrapper) -> Callable[[str | None], Any]:
    field = GenericIPAddressField()

    def convert(address: str | None) -> Any:
        if address and _is_canonical(address):
            return address
        return field.get_db_prep_save(address, connection)

    return convert


def _is_canonical(address: str) -> bool:
    """Return whether an IPv6 address has the form that its field would give it, ten times slower.

    An address that embeds an IPv4 address has several forms; the C library and Python prefer
    different ones.
    """
    if ":" not in address or "." in address:
        return False
    try:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, address)) == address
    except (OSError, ValueError):  # not an address, or with NUL
        return False


def _checked_address(address: str | None) -> str | None:
    # Parsed first: PostgreSQL would accept a network, too. It accepts any form of an address, so
    # the C library, the fastest parser, need only find it valid.
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


#: Only replaces NUL. The values are for model instances, whose fields convert the rest.
LEAVE_TO_DJANGO = ParameterConverters(
    _unchanged, _unchanged, replace_nul_everywhere, _unchanged, _unchanged, _unchanged
)

#: Converts to text, which both COPY and INSERT read as the type of the column.
_POSTGRESQL = ParameterConverters(
    _uuid_hex, _iso_time, _jsonb_text, _checked_address, _number_text, str
)
