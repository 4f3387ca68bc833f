"""What travels from the web edge to the database: one frozen object per observation.

A ``Hit`` becomes a beacon, a ``PageHit`` a page view. Each holds plain values only, so that
it can wait in memory, in a file or in a queue, and be written by another process than the
one that saw the request. Its id is made where it is observed: however often a hit is
delivered, it is one row.

    >>> hit = Hit(kind=Kind.OPEN, source=Reference("shop.affiliate", "7"))
    >>> from_dict(hit.as_dict()) == hit
    True
"""

import os
import time as clock
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple, Self

import msgspec
from django.db.models import Model, TextChoices
from django.utils.translation import gettext_lazy as _

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
    bits = _random.getrandbits(_RANDOM_BITS)
    number = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0x2 << 62 | bits & _LOW
    return uuid.UUID(int=number)


_RANDOM_BITS = 74
_LOW = (1 << 62) - 1

# No two processes may draw the same numbers; beyond that, nothing rests on nobody guessing
# them. Asking the system for each hit would hand the processor to another thread each time.
_random = Random(os.urandom(32))  # noqa: S311
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


class Hit(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="beacon"):
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
        visitor: the key of the browser, if the site tracks visitors and this is one.
    """

    kind: str
    id: uuid.UUID = msgspec.field(default_factory=uuid7)
    time: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    target: Reference | None = None
    source: Reference | None = None
    entity: Reference | None = None
    data: Mapping[str, Any] = msgspec.field(default_factory=dict)
    url: str = ""
    referrer: str = ""
    ip_address: str | None = None
    user_agent: str = ""
    visitor: str | None = None

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
            "visitor": self.visitor,
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


#: What ``as_dict`` says for the kind of a page hit.
PAGE_VIEW = "page_view"


class PageHit(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="page_view"):
    """One page that a visitor has seen.

    Attributes:
        visitor: the key of the browser.
        url: the path of the page, without its query.
        id: the key of the row this becomes.
        time: when the page was answered (aware).
        referrer: the page of another site that led here, or ``""``.
        campaign: the UTM parameters of the page, without ``utm_``.
        session_key: the key of the session, ``""`` for none, and ``None`` if the page has not
            used it.
        user: the primary key of who is logged in as text, ``""`` for nobody, and ``None``
            if the page did not ask.
        ip_address: the client, or ``None`` if unknown.
        user_agent: the ``User-Agent`` of the request.
    """

    visitor: str
    url: str
    id: uuid.UUID = msgspec.field(default_factory=uuid7)
    time: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    referrer: str = ""
    campaign: Mapping[str, str] = msgspec.field(default_factory=dict)
    session_key: str | None = None
    user: str | None = None
    ip_address: str | None = None
    user_agent: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the hit as a dict of JSON values."""
        return {
            "kind": PAGE_VIEW,
            "visitor": self.visitor,
            "url": self.url,
            "id": self.id.hex,
            "time": self.time.isoformat(),
            "referrer": self.referrer,
            "campaign": dict(self.campaign),
            "session_key": self.session_key,
            "user": self.user,
            "ip_address": self.ip_address,
            "user_agent": self.user_agent,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the hit that ``as_dict`` has described.

        Raises:
            KeyError, TypeError, ValueError: ``values`` describe no page hit.
        """
        rest = {name: value for name, value in values.items() if name != "kind"}
        identifier, time = uuid.UUID(values["id"]), datetime.fromisoformat(values["time"])
        return cls(**{**rest, "id": identifier, "time": time})


#: What a backend takes to the database.
AnyHit = Hit | PageHit


def from_dict(values: Mapping[str, Any]) -> AnyHit:
    """Return the hit that ``as_dict`` of either class has described.

    Raises:
        KeyError, TypeError, ValueError: ``values`` describe none.
    """
    return (PageHit if values["kind"] == PAGE_VIEW else Hit).from_dict(values)
