"""Settings of GeoIP: the database that locates addresses."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.enrichment import geoip

#: The values that django-user-tracking documented.
_CACHE_TYPES = (0, 1, 2, 4)


@register(TAG)
def check_geoip_database(**_: Any) -> list[CheckMessage]:
    """W008: the GeoIP database cannot be read, or holds no places."""
    problem = geoip.database_problem()
    if problem is None:
        return []
    return [
        Warning(
            problem,
            hint="Until then addresses are not located. Or set TRACKING_USE_GEOIP = False.",
            id="tracking.W008",
        )
    ]


@register(TAG)
def check_geoip_cache_type(**_: Any) -> list[CheckMessage]:
    """E021: GEOIP_CACHE_TYPE is not a documented value."""
    cache_type: object = conf.geoip_cache_type
    if type(cache_type) is int and cache_type in _CACHE_TYPES:
        return []
    return [
        Error(
            f"GEOIP_CACHE_TYPE is {cache_type!r}, not one of 0, 1, 2 and 4.",
            hint="1 loads the database into memory; 0, 2 and 4 map the file.",
            id="tracking.E021",
        )
    ]
