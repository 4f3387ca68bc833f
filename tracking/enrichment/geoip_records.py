"""Records of a GeoIP database, read as locations.

MaxMind nests: ``{"country": {"iso_code": "AU", "names": {"en": "Australia"}}, ...}``. DB-IP and
others write flat records, each with key names of its own: ``{"country_code": "AU", ...}``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tracking.enrichment.country_names import is_country_code

#: Characters of a name that are stored.
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Location:
    """The location of an address, as far as it is known.

    Attributes:
        country: the country code (ISO 3166-1 alpha-2) in capital letters, or ``""``.
        region: the English name of the largest subdivision of the country, or ``""``.
        city: the English name of the city, or ``""``.
        latitude: degrees north, or ``None``.
        longitude: degrees east, or ``None``. Both are known or neither.
    """

    country: str = ""
    region: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None


_NOWHERE = Location()

_COUNTRY_KEYS = ("country_code", "country")
_REGION_KEYS = ("state1", "region", "state", "subdivision1")
_LATITUDE_KEYS = ("latitude", "lat")
_LONGITUDE_KEYS = ("longitude", "lng", "lon")


def location_from(record: object) -> Location | None:
    """Return the location in a record, without invalid values; ``None`` if nothing is known.

    Args:
        record: a record of a GeoIP database.
    """
    fields = _mapping(record)
    point = _mapping(fields.get("location")) or fields
    latitude = _degrees(_first(point, _LATITUDE_KEYS), 90)
    longitude = _degrees(_first(point, _LONGITUDE_KEYS), 180)
    if latitude is None or longitude is None:
        latitude = longitude = None
    found = Location(_country(fields), _region(fields), _city(fields), latitude, longitude)
    return None if found == _NOWHERE else found


def _country(fields: Mapping[str, object]) -> str:
    # The country where a network is registered is less precise; some records have only that.
    nested = _mapping(fields.get("country" if "country" in fields else "registered_country"))
    code = nested.get("iso_code") or _first(fields, _COUNTRY_KEYS)
    upper = code.upper() if isinstance(code, str) else ""
    return upper if is_country_code(upper) else ""


def _region(fields: Mapping[str, object]) -> str:
    parts = fields.get("subdivisions")
    if isinstance(parts, list) and parts:
        return _english(parts[0])
    return _text(_first(fields, _REGION_KEYS))


def _city(fields: Mapping[str, object]) -> str:
    city = fields.get("city")
    return _english(city) or _text(city)


def _english(place: object) -> str:
    return _text(_mapping(_mapping(place).get("names")).get("en"))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _first(fields: Mapping[str, object], keys: Iterable[str]) -> object:
    """Return the first value that is not empty."""
    present = (fields.get(key) for key in keys)
    return next((value for value in present if value is not None and value != ""), None)


def _text(value: object) -> str:
    """Return a name as one line of printable characters (PostgreSQL stores no NUL)."""
    if not isinstance(value, str):
        return ""
    return "".join(filter(str.isprintable, value)).strip()[:NAME_LENGTH]


def _degrees(value: object, limit: int) -> float | None:
    """Return a number of degrees from ``-limit`` to ``limit``, or ``None``."""
    # Some databases store all values as strings.
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if -limit <= number <= limit else None  # NaN is in no range
