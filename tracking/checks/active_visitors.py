"""Settings of the page of active visitors."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_map_tiles(**_: Any) -> list[CheckMessage]:
    """E020: the tiles of the map."""
    tiles = conf.map_tiles
    if not tiles:
        return []
    starts_well = tiles.startswith(("https://", "http://", "/"))
    if starts_well and all(part in tiles for part in ("{z}", "{x}", "{y}")):
        return []
    return [
        Error(
            f"TRACKING_MAP_TILES is {tiles!r}, which is not a URL of map tiles.",
            hint="Set a URL such as https://tiles.example.com/{z}/{x}/{y}.png, or remove the "
            "setting: the map then shows the outlines that come with this app.",
            id="tracking.E020",
        )
    ]
