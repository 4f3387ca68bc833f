"""Where the visitors of the example shop come from.

``data/places.csv`` assigns the networks reserved for documentation (RFC 5737, RFC 3849) to
cities. They contain no real addresses, and no real GeoIP database contains them, so the shop
builds a small database in MaxMind's format.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "data" / "places.csv"


class Place(NamedTuple):
    """A network and its city."""

    network: str
    country: str
    region: str
    city: str
    latitude: float
    longitude: float


def places() -> list[Place]:
    """Return all places of the file. Each city has one IPv4 and one IPv6 network."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return [
            Place(
                row["network"],
                row["country"],
                row["region"],
                row["city"],
                float(row["latitude"]),
                float(row["longitude"]),
            )
            for row in csv.DictReader(file)
        ]


def build(path: Path) -> None:
    """Write the GeoIP database, unless it exists and is newer than the CSV file.

    Raises:
        ImportError: mmdb-writer is not installed.
    """
    if path.exists() and path.stat().st_mtime > FILE.stat().st_mtime:
        return
    from mmdb_writer import MMDBWriter  # noqa: PLC0415 - optional
    from netaddr import IPSet  # noqa: PLC0415

    writer = MMDBWriter(6, "GeoLite2-City", ipv4_compatible=True)
    for place in places():
        writer.insert_network(IPSet([place.network]), _record(place))
    # Renamed into place, because a server may have the old file mapped into memory. Each process
    # has its own draft.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    writer.to_db_file(str(draft))
    draft.replace(path)


def _record(place: Place) -> dict[str, object]:
    record: dict[str, object] = {
        "country": {"iso_code": place.country},
        "city": {"names": {"en": place.city}},
        "location": {"latitude": place.latitude, "longitude": place.longitude},
    }
    if place.region:
        record["subdivisions"] = [{"names": {"en": place.region}}]
    return record
