"""Where the visitors of the example shop come from.

Their networks are those that documents have to themselves (RFC 5737, RFC 3849), dealt out to
cities by ``data/places.csv``. No real address is in them, and no real database of places has
them: so the shop builds a small one of its own, laid out as MaxMind does it.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "data" / "places.csv"


class Place(NamedTuple):
    """One network, and the city that it is in."""

    network: str
    country: str
    region: str
    city: str
    latitude: float
    longitude: float


def places() -> list[Place]:
    """Return all places of the file. A city has one IPv4 and one IPv6 network."""
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
    """Write the database of places, unless it is there and newer than the file.

    Raises:
        ImportError: mmdb-writer is not installed.
    """
    if path.exists() and path.stat().st_mtime > FILE.stat().st_mtime:
        return
    from mmdb_writer import MMDBWriter  # noqa: PLC0415 - the demo runs without it
    from netaddr import IPSet  # noqa: PLC0415

    writer = MMDBWriter(6, "GeoLite2-City", ipv4_compatible=True)
    for place in places():
        writer.insert_network(IPSet([place.network]), _record(place))
    # Renamed into place, because a server may have the old one mapped into memory. Two that
    # build at once do not share a draft.
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
