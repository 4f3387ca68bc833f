"""Settings of GeoIP: the database that locates addresses."""

from typing import Any

from django.core.checks import CheckMessage, Warning, register  # noqa: A004

from tracking.checks.tags import TAG
from tracking.enrichment import geoip


@register(TAG)
def check_geoip_database(**_: Any) -> list[CheckMessage]:
    """W008: the GeoIP database cannot be read."""
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
