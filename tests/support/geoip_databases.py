"""GeoIP databases of the networks that are reserved for documentation."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

SYDNEY = {
    "country": {"iso_code": "AU", "names": {"de": "Australien", "en": "Australia"}},
    "registered_country": {"iso_code": "US", "names": {"en": "United States"}},
    "subdivisions": [{"iso_code": "NSW", "names": {"en": "New South Wales"}}],
    "city": {"names": {"de": "Sydney", "en": "Sydney"}},
    "location": {"latitude": -33.8688, "longitude": 151.2093, "time_zone": "Australia/Sydney"},
}

BERLIN = {
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [{"iso_code": "BE", "names": {"en": "State of Berlin"}}],
    "city": {"names": {"en": "Berlin"}},
    "location": {"latitude": 52.52, "longitude": 13.405},
}

#: The record of each network.
PLACES = {"192.0.2.0/24": SYDNEY, "2001:db8::/32": BERLIN}


def build(
    path: Path,
    places: Mapping[str, Any] = PLACES,
    kind: str = "GeoLite2-City",
    version: int = 6,
) -> Path:
    """Write a database and return its path.

    Args:
        path: the file; it is replaced by renaming, as geoipupdate does.
        places: the record of each network, in CIDR notation.
        kind: the ``database_type`` in its metadata.
        version: 6 for IPv4 and IPv6, 4 for IPv4 alone.
    """
    writer = MMDBWriter(version, kind, ipv4_compatible=version == 6)
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    draft = path.with_suffix(".draft")
    writer.to_db_file(str(draft))
    os.replace(draft, path)
    return path
