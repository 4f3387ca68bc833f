"""What travels from the web edge to the database: one frozen ``Hit`` per observation.

A hit holds plain values only, so that it can wait in memory, in a file or in a
queue, and be written by another process than the one that saw the request. Its id is
made where it is observed: however often a hit is delivered, it is one row.

    >>> hit = Hit(kind=Kind.OPEN, source=Reference("shop.affiliate", "7"))
    >>> Hit.from_dict(hit.as_dict()) == hit
    True
"""

import os
import time as clock
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from django.db.models import Model, TextChoices
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tracking import client

#: What a hit can be tied to: where the reader comes from, who it is, what it is about.
ROLES = ("source", "entity", "target")


class Kind(TextChoices):
    """What was observed."""

    OPEN = "open", _("Open")  # a pixel was loaded
    CLICK = "click", _("Click")  # a redirect link was followed
    SENT = "sent", _("Sent")  # a message went out
    EVENT = "event", _("Event")  # whatever else the site reports


class Reference(NamedTuple):
    """A row of any model, named so that another process or site understands it."""

    #: Lower-case ``app_label.model_name``: the same on every site, as ids of content types are not.
    label: str
    #: The primary key as text.
    pk: str

    @classmethod
    def to(cls, instance: Model) -> Self:
        """Return the reference to a saved model instance (a proxy counts as its base).

        Raises:
            TypeError: ``instance`` is no model instance.
            ValueError: it has not been saved yet, so that nothing could find it again.
        """
        if not isinstance(instance, Model):
            raise TypeError(f"expected a model instance, got {instance!r}.")
        if instance.pk is None:
            raise ValueError(f"{instance!r} has no primary key yet; save it first.")
        concrete = instance._meta.concrete_model or type(instance)
        return cls(concrete._meta.label_lower, str(instance.pk))


def uuid7() -> uuid.UUID:
    """Return a new UUID that sorts by the millisecond it was made in.

    Layout: RFC 9562, section 5.7 (48 bits of Unix time in milliseconds, version,
    12 random bits, variant, 62 random bits). Keys that arrive in order keep the
    index of the largest table dense.
    """
    milliseconds = clock.time_ns() // 1_000_000
    number = milliseconds << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One observed open, click, sent message or event.

    Attributes:
        kind: what was observed.
        id: the key of the row this becomes.
        time: when it was observed (aware).
        target: what was shown or linked to.
        source: where the reader comes from: a campaign, an affiliate.
        entity: who it was: a subscriber, a customer.
        data: the arguments of the tag, or whatever the site wants to keep.
        url: where a click was sent to.
        referrer: the ``Referer`` of the request.
        ip_address: the client, or ``None`` if unknown.
        user_agent: the ``User-Agent`` of the request.
    """

    kind: str
    id: uuid.UUID = field(default_factory=uuid7)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    target: Reference | None = None
    source: Reference | None = None
    entity: Reference | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    referrer: str = ""
    ip_address: str | None = None
    user_agent: str = ""

    @classmethod
    def from_request(cls, request: HttpRequest, kind: str, **values: Any) -> Self:
        """Return a hit that carries what ``request`` tells of its sender.

        Args:
            request: the request that is the observation.
            kind: one of :class:`Kind`.
            values: further fields of the hit.
        """
        return cls(
            kind=kind,
            referrer=_header(request, "HTTP_REFERER"),
            ip_address=client.recorded_address(request),
            user_agent=_header(request, "HTTP_USER_AGENT"),
            **values,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the hit as a dict of JSON values and those that Django's encoder knows."""
        return {
            "kind": str(self.kind),
            "id": self.id.hex,
            "time": self.time.isoformat(),
            "target": self.target and list(self.target),
            "source": self.source and list(self.source),
            "entity": self.entity and list(self.entity),
            "data": dict(self.data),
            "url": self.url,
            "referrer": self.referrer,
            "ip_address": self.ip_address,
            "user_agent": self.user_agent,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the hit that ``as_dict`` has described.

        Raises:
            KeyError, TypeError, ValueError: ``values`` describe no hit.
        """
        references = {role: Reference(*values[role]) if values[role] else None for role in ROLES}
        return cls(
            **{
                **values,
                **references,
                "id": uuid.UUID(values["id"]),
                "time": datetime.fromisoformat(values["time"]),
            }
        )


def _header(request: HttpRequest, key: str) -> str:
    """Return a header as text: UTF-8 where it is that, else Latin-1.

    WSGI (PEP 3333) and Django's ASGI handler both hand over headers decoded as
    Latin-1, whatever the client has sent.
    """
    value: str = request.META.get(key, "")
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:  # real Latin-1, or real text set by code of the site
        return value
