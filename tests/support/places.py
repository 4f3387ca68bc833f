"""Databases of places for the tests, of networks that documents have to themselves."""

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

#: Where the databases below have 192.0.2.0/24 (IPv4) and 2001:db8::/32 (IPv6).
PLACES = {"192.0.2.0/24": SYDNEY, "2001:db8::/32": BERLIN}


def build(
    path: Path,
    places: Mapping[str, Any] = PLACES,
    kind: str = "GeoLite2-City",
    version: int = 6,
) -> Path:
    """Write a database and return its path.

    Args:
        path: where it is written; another that is there is replaced as geoipupdate does it,
            by renaming.
        places: the record of each network, in CIDR notation.
        kind: what the database calls itself.
        version: 6 for IPv4 and IPv6, 4 for IPv4 alone.
    """
    writer = MMDBWriter(version, kind, ipv4_compatible=version == 6)
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    draft = path.with_suffix(".draft")
    writer.to_db_file(str(draft))
    os.replace(draft, path)
    return path
