"""The JSON that endpoints get.

A message has a type, a version, the time at which it was made, and a list of events::

    {
      "type": "tracking.batch",
      "version": 1,
      "timestamp": "2026-11-29T10:00:00.123456Z",
      "data": [
        {
          "type": "beacon.open",
          "timestamp": "2026-11-29T09:59:59.654321Z",
          "data": {"id": "…", "source": {"type": "tracking.source", "id": "7", "slug": "spring"}, …}
        }
      ]
    }

A new version is one in which something has another meaning; new keys may come with any release.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from tracking.hits import Reference
from tracking.log_limits import get_logger
from tracking.webhooks.event_types import BATCH

logger = get_logger(__name__)

VERSION = 1

#: Bytes of a message's events, and how many there are, at most.
MAX_SIZE = 256 * 1024
MAX_EVENTS = 500

#: Characters that are left of each text of an event that would be larger than a message.
_MAX_TEXT = 2_000

#: The columns of a beacon that tell something about it, and those that tell about its reader.
_COLUMNS = (
    *("kind", "url", "referrer", "browser", "os", "device"),
    *("country", "region", "city", "verdict", "verdict_reason"),
)
_EVENT_COLUMNS = ("event_name", "event_value")
_PERSONAL_COLUMNS = ("ip_address", "user_agent")


def beacon_data(
    columns: Mapping[str, Any],
    references: Mapping[str, Reference | None],
    slug: str | None,
    *,
    personal_data: bool,
) -> dict[str, Any]:
    """Return what an event says about a beacon.

    Args:
        columns: the columns of the beacon.
        references: the objects in its roles.
        slug: the slug of its source, if that is a ``Source``.
        personal_data: whether to add address, user agent and visitor.
    """
    data: dict[str, Any] = {"id": str(columns["id"]), "time": iso(columns["time"])}
    data |= {name: columns[name] for name in _COLUMNS}
    data |= {name: columns.get(name) for name in _EVENT_COLUMNS}
    for role, reference in references.items():
        data[role] = None if reference is None else {"type": reference.label, "id": reference.pk}
    if slug is not None:
        data["source"]["slug"] = slug
    data["data"] = columns["data"]
    if personal_data:
        data |= {name: columns[name] for name in _PERSONAL_COLUMNS}
        data["visitor"] = columns["visitor_id"]
    return data


def event(name: str, moment: datetime, data: Mapping[str, Any]) -> str | None:
    """Return an event as JSON in ASCII, smaller than ``MAX_SIZE``.

    Args:
        name: its type.
        moment: when it happened.
        data: what it says.

    Returns:
        The JSON; if it would be too large, texts are cut and ``data`` is left out, which
        ``is_cut`` says. ``None`` if it cannot be written as JSON, which is logged.
    """
    frame = {"type": name, "timestamp": iso(moment)}
    try:
        text = _dumps({**frame, "data": data})
        if len(text) > MAX_SIZE:
            cut = {
                key: value[:_MAX_TEXT] if isinstance(value, str) else value
                for key, value in data.items()
            }
            text = _dumps({**frame, "data": {**cut, "data": {}, "is_cut": True}})
    except (TypeError, ValueError, RecursionError):
        logger.exception("Writing an event for webhooks failed")
        return None
    return text


def body(items: str, made_at: datetime, name: str = BATCH) -> bytes:
    """Return the body of a message.

    Args:
        items: its events as JSON, with commas between them.
        made_at: when the message was made.
        name: the type of the message.
    """
    frame = _dumps({"type": name, "version": VERSION, "timestamp": iso(made_at)})
    return f'{frame[:-1]},"data":[{items}]}}'.encode()


def batches(events: Iterable[str]) -> "list[list[str]]":
    """Return events in lists that fit into a message each."""
    found: list[list[str]] = []
    size = 0
    for text in events:
        size += len(text) + 1
        if not found or size > MAX_SIZE or len(found[-1]) >= MAX_EVENTS:
            found.append([])
            size = len(text)
        found[-1].append(text)
    return found


def iso(moment: datetime) -> str:
    """Return a time as RFC 3339 writes it, in UTC."""
    if timezone.is_naive(moment):  # a site with USE_TZ = False
        moment = timezone.make_aware(moment)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _dumps(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, separators=(",", ":"), allow_nan=False)
