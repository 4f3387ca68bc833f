"""An event of anymail becomes a hit.

The key of the hit is made from the event, so that an event which the provider sends again is the
same hit. The recipient's address is part of that key, and is not kept.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from tracking.contrib.anymail.bounces import bounce_type
from tracking.contrib.anymail.machines import is_machine_open
from tracking.db.column_values import MAX_TEXT
from tracking.enrichment.mailbox_providers import mailbox_provider
from tracking.enrichment.verdict_rules import BY_PROVIDER, MACHINE_BY_PROVIDER, Label
from tracking.hits import Hit, Kind, MailReport, message_key
from tracking.mail.campaigns import slug_of
from tracking.recipient_consent.decisions import digest_of_address
from tracking.recording.provider_events import MAILBOX, MESSAGE_ID

#: The kinds of anymail's events. All others, such as ``queued`` and ``autoresponded``, say nothing
#: about whether a message has arrived or was read.
KINDS: Final[Mapping[str, Kind]] = {
    "delivered": Kind.DELIVERED,
    "bounced": Kind.BOUNCED,
    "rejected": Kind.BOUNCED,  # the provider did not try, as with a suppressed address
    "failed": Kind.BOUNCED,
    "deferred": Kind.DEFERRED,
    "complained": Kind.COMPLAINED,
    "unsubscribed": Kind.UNSUBSCRIBED,
    "opened": Kind.OPEN,
    "clicked": Kind.CLICK,
}

#: The oldest event whose time is believed. Amazon repeats one for 23 days, the others for less.
MAX_AGE: Final = timedelta(days=30)

#: How far the provider's clock may be ahead.
MAX_AHEAD: Final = timedelta(minutes=5)

#: Characters of an id, and of what the recipient's server said, that are kept.
MAX_ID: Final = 500
MAX_REASON: Final = 500

#: Tags that are looked at for the name of a campaign.
MAX_TAGS: Final = 10


def hit_of(event: Any, esp_name: str, now: datetime | None = None) -> Hit | None:
    """Return the hit of an event, or ``None`` for an event of no interest here.

    Args:
        event: an ``anymail.signals.AnymailTrackingEvent``.
        esp_name: anymail's name of the mail provider.
        now: the current time (aware).
    """
    kind = KINDS.get(event.event_type)
    if kind is None:
        return None
    now = now or datetime.now(UTC)
    time = _time_of(event, now)
    user_agent = str(event.user_agent or _user_agent(event, esp_name))[:MAX_TEXT]
    verdict, reason = _verdict(event, esp_name, kind, user_agent)
    message_id = _text(event.message_id, MAX_ID)
    return Hit(
        kind=kind.value,
        id=event_key(event, esp_name, time or _start_of_month(now)),
        time=min(time or now, now),
        data=_data(event, esp_name, kind, message_id),
        url=_text(event.click_url, MAX_TEXT) if kind == Kind.CLICK else "",
        user_agent=user_agent if kind in {Kind.OPEN, Kind.CLICK} else "",
        report=MailReport(
            message=message_key(message_id) if message_id else None,
            campaigns=tuple(dict.fromkeys(_campaigns(event))),
            verdict=verdict,
            reason=reason,
        ),
        recipient=digest_of_address(str(event.recipient or "")),
    )


def _time_of(event: Any, now: datetime) -> datetime | None:
    """Return the time of an event, or ``None`` if the provider gives none that can be true."""
    time = event.timestamp
    if not isinstance(time, datetime):
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    if not now - MAX_AGE <= time <= now + MAX_AHEAD:
        return None
    return time


def _start_of_month(now: datetime) -> datetime:
    """Return a time for the keys of events without one: the same when they come again."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def event_key(event: Any, esp_name: str, time: datetime) -> UUID:
    """Return the key of an event, which sorts by its time (version 7, RFC 9562).

    Args:
        event: the event.
        esp_name: anymail's name of the mail provider.
        time: its time, or one that is the same when the event comes again.
    """
    # The token that anymail takes for the id of an event is new each time Mailgun repeats it.
    event_id = _mailgun_id(event) if esp_name == "Mailgun" else event.event_id
    told = event.timestamp.isoformat() if isinstance(event.timestamp, datetime) else ""
    parts = (
        *(esp_name, event.event_type, event.message_id, str(event.recipient or "").lower()),
        *(event_id, told, event.click_url),
    )
    digest = blake2b(digest_size=10, person=b"tracking.event")
    for part in parts:
        text = str("" if part is None else part).encode(errors="replace")
        digest.update(len(text).to_bytes(4) + text)
    number = int.from_bytes(digest.digest())
    milliseconds = int(time.timestamp() * 1_000) & 0xFFFF_FFFF_FFFF
    return UUID(
        int=milliseconds << 80
        | 0x7 << 76
        | (number >> 62 & 0xFFF) << 64
        | 0x2 << 62
        | number & 0x3FFF_FFFF_FFFF_FFFF
    )


def _mailgun_id(event: Any) -> str:
    raw = event.esp_event
    found = raw.get("event-data") if isinstance(raw, Mapping) else None
    return str(found.get("id", "")) if isinstance(found, Mapping) else ""


def _verdict(event: Any, esp_name: str, kind: Kind, user_agent: str) -> tuple[str, str]:
    """Return the verdict of the provider and its reason; ``""`` if our own rules decide."""
    if kind == Kind.OPEN and is_machine_open(event, esp_name):
        return Label.PREFETCH.value, MACHINE_BY_PROVIDER
    if kind in {Kind.OPEN, Kind.CLICK} and user_agent.strip():
        return "", ""
    # Without a user agent nobody knows who has loaded an image: a person, or a proxy for one.
    label = Label.PROXY if kind == Kind.OPEN else Label.HUMAN
    return label.value, BY_PROVIDER


def _user_agent(event: Any, esp_name: str) -> str:
    """Return the user agent where anymail leaves it out."""
    raw = event.esp_event if esp_name == "Brevo" else None
    return str(raw.get("user_agent") or "") if isinstance(raw, Mapping) else ""


def _data(event: Any, esp_name: str, kind: Kind, message_id: str) -> dict[str, Any]:
    data = {
        "provider": esp_name,
        MESSAGE_ID: message_id,
        MAILBOX: mailbox_provider(str(event.recipient or "")),
    }
    if kind in {Kind.BOUNCED, Kind.DEFERRED}:
        data["reason"] = _without_addresses(
            _text(event.mta_response or event.description, MAX_TEXT)
        )[:MAX_REASON]
    if kind == Kind.BOUNCED:
        data["bounce"] = bounce_type(event, esp_name)
        data["reject_reason"] = _text(event.reject_reason, MAX_ID)
    return {name: value for name, value in data.items() if value}


def _campaigns(event: Any) -> Iterator[str]:
    """Yield the slugs of the campaigns that an event may be of, the most likely first."""
    metadata = event.metadata if isinstance(event.metadata, Mapping) else {}
    tags = event.tags if isinstance(event.tags, list | tuple | set) else [event.tags]
    for text in [metadata.get("campaign"), *list(tags)[:MAX_TAGS]]:
        if isinstance(text, str) and text.strip():
            yield slug_of(text.strip()[:MAX_TEXT])


def _text(value: object, longest: int) -> str:
    return "" if value is None else str(value)[:longest]


def _without_addresses(text: str) -> str:
    """Return a text in which the names before ``@`` are hidden.

    >>> _without_addresses("550 5.1.1 <anna@a.example>: user unknown")
    '550 5.1.1 <…@a.example>: user unknown'
    """
    return _NAME.sub("…", text)


#: No name is longer (RFC 5321, section 4.5.3.1.1).
_NAME: Final = re.compile(r"[^\s<>()\[\]:;,@\"']{1,64}(?=@)")
