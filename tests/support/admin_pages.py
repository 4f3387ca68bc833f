"""Pages of the admin, and the rows that they show."""

from html import unescape

from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon
from tracking.recording import write

BEACONS = "/admin/tracking/beacon/"
BANS = "/admin/tracking/bannedip/"


def record(**values) -> Beacon:
    """Write a hit, by default an open, and return its row.

    Args:
        values: those of the hit; source, entity and target are model instances.
    """
    tied = {
        role: Reference.to(values.pop(role))
        for role in ("source", "entity", "target")
        if role in values
    }
    [beacon] = write([Hit(**{"kind": Kind.OPEN, **tied, **values})])
    return beacon


def text_of(response) -> str:
    """Return the HTML of a page, without entities."""
    assert response.status_code == 200
    return unescape(response.content.decode())


def listed(response) -> set:
    """Return the keys of the rows of a list."""
    text_of(response)
    return {row.pk for row in response.context["cl"].result_list}


def add_ban(client, network, **values):
    """Send the form that adds a ban."""
    data = {"network": network, "reason": "", "expires_at_0": "", "expires_at_1": "", **values}
    return client.post(f"{BANS}add/", data)
