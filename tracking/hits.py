"""What travels from a request to the database: one frozen object per observation.

A ``Hit`` becomes a beacon, a ``PageHit`` a page view. Both contain only plain values, so that they
can wait in memory, in a file or in a queue, and another process can write them. The id is made
with the hit: however often a hit is delivered, it becomes one row.

    >>> hit = Hit(kind=Kind.OPEN, source=Reference("shop.affiliate", "7"))
    >>> from_dict(hit.as_dict()) == hit
    True
"""

import os
import time as clock
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import Any, NamedTuple, Self

import msgspec
from django.db.models import Model, TextChoices
from django.utils.translation import gettext_lazy as _

#: The rows that a hit can refer to: where the reader comes from, the reader, what was shown.
ROLES = ("source", "entity", "target")


class Kind(TextChoices):
    """The kinds of hits."""

    OPEN = "open", _("Open")  # a pixel was loaded
    CLICK = "click", _("Click")  # a redirect link was followed
    SENT = "sent", _("Sent")  # a message went out
    EVENT = "event", _("Event")  # something else that the site reports
    # What a mail provider reports about a message:
    DELIVERED = "delivered", _("Delivered")  # the recipient's server has taken it
    BOUNCED = "bounced", _("Bounced")  # it has refused it, or the provider did not try
    DEFERRED = "deferred", _("Deferred")  # it is to be tried again later
    COMPLAINED = "complained", _("Complained")  # the recipient calls it spam
    UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")  # the recipient wants no more


#: Kinds that only mail providers report.
DELIVERY_KINDS = (
    Kind.DELIVERED,
    Kind.BOUNCED,
    Kind.DEFERRED,
    Kind.COMPLAINED,
    Kind.UNSUBSCRIBED,
)


class Reference(NamedTuple):
    """A row of any model, named in a way that other processes and sites understand."""

    #: Lower-case ``app_label.model_name``. Ids of content types differ between sites.
    label: str
    #: The primary key as text.
    pk: str

    @classmethod
    def to(cls, instance: Model) -> Self:
        """Return the reference to a saved model instance.

        Args:
            instance: the instance; one of a proxy model counts as one of the model behind it.

        Raises:
            TypeError: ``instance`` is not a model instance, or has a composite primary key.
            ValueError: it has not been saved yet.
        """
        if not isinstance(instance, Model):
            raise TypeError(f"expected a model instance, got {instance!r}.")
        if isinstance(instance.pk, tuple):
            raise TypeError(
                f"{instance._meta.label} has a composite primary key, which no beacon can refer to."
            )
        if instance.pk is None:
            raise ValueError(f"{instance!r} has no primary key yet; save it first.")
        concrete = instance._meta.concrete_model or type(instance)
        return cls(concrete._meta.label_lower, str(instance.pk))


def uuid7() -> uuid.UUID:
    """Return a new UUID that sorts by the time it was made at."""
    return uuid.UUID(bytes=uuid7_bytes())


def uuid7_bytes(moment: float | None = None) -> bytes:
    """Return the 16 bytes of a new UUID that sorts by the time it was made at.

    Layout: RFC 9562, section 5.7: 48 bits of Unix time in milliseconds, the version, 12 bits of
    the fraction of the millisecond (section 6.2, method 3), the variant, 62 random bits. Keys that
    arrive in order keep the index of a large table dense.

    Args:
        moment: that time, in POSIX seconds; by default now.
    """
    # A float holds all 12 bits of the fraction until 2039, then one less.
    ticks = int((clock.time() if moment is None else moment) * 4_096_000)
    first = ticks >> 12 << 16 | 0x7000 | ticks & 0xFFF
    return _UUID(first, 0x2 << 62 | _random.getrandbits(62))


_UUID = Struct(">QQ").pack

# Two processes must not draw the same numbers, but the numbers need not be secret. A call of
# os.urandom() for each hit would release the GIL each time.
_random = Random(os.urandom(32))  # noqa: S311
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def digest_uuid(digest: bytes) -> uuid.UUID:
    """Return a digest in the form of a random UUID (version 4, RFC 9562).

    Version 8 is meant for custom values, but MariaDB rejects one in 64 of them: those whose byte 8
    is 0x80.

    Args:
        digest: 16 bytes.
    """
    number = int.from_bytes(digest)
    number = number & ~(0xF << 76) | 0x4 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=number)


class MailReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the event of a mail provider finds its message, and who is behind it.

    Attributes:
        message: the key of the message, from :func:`message_key`, or ``None`` if the provider
            names none.
        campaigns: slugs of sources that the message is of, if it is not known itself.
        verdict: the provider's own verdict on an open or click, or ``""``.
        reason: why, in English.
    """

    message: uuid.UUID | None
    campaigns: tuple[str, ...] = ()
    verdict: str = ""
    reason: str = ""


def message_key(message_id: str) -> uuid.UUID:
    """Return the key of a message.

    Args:
        message_id: the id that its provider or its header gives it, with angle brackets or not.
    """
    text = message_id.strip().removeprefix("<").removesuffix(">")
    digest = blake2b(text.encode(errors="replace"), digest_size=16, person=b"tracking.mail")
    return digest_uuid(digest.digest())


class Hit(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="beacon"):
    """One observed open, click, sent message or event.

    Attributes:
        kind: what was observed.
        id: the key of the row this becomes.
        time: when it was observed (aware).
        target: what was shown or linked to.
        source: where the reader comes from: a campaign, an affiliate.
        entity: the reader: a subscriber, a customer.
        data: the arguments of the tag, or other JSON values of the site.
        url: the destination of a click.
        referrer: the ``Referer`` of the request.
        ip_address: the client's address, or ``None`` if it is not known.
        user_agent: the ``User-Agent`` of the request.
        visitor: the visitor's key, if the site tracks visitors and the reader does not refuse.
        event_name: what happened, of an event.
        event_value: what it is worth, with two decimals.
        report: for the event of a mail provider, how it finds its message.
        recipient: the digest of the address that a message went to
            (:mod:`tracking.recipient_consent`). It decides whether the hit is written, and is not
            stored.
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
    event_name: str = ""
    event_value: Decimal | None = None
    report: MailReport | None = None
    recipient: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the hit as a dict of values that ``DjangoJSONEncoder`` can encode."""
        report = {} if self.report is None else {"report": msgspec.to_builtins(self.report)}
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
            "event_name": self.event_name,
            "event_value": None if self.event_value is None else str(self.event_value),
            **report,
            "recipient": self.recipient,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the hit that ``as_dict`` has turned into ``values``.

        Args:
            values: what ``as_dict`` returned.

        Raises:
            KeyError, TypeError, ValueError: ``values`` are not those of a hit.
        """
        references = {role: Reference(*values[role]) if values[role] else None for role in ROLES}
        value = values.get("event_value")  # not in hits of earlier versions
        return cls(
            **{
                **values,
                **references,
                "id": uuid.UUID(values["id"]),
                "time": datetime.fromisoformat(values["time"]),
                "event_value": None if value is None else Decimal(value),
                "report": msgspec.convert(values.get("report"), MailReport | None),
            }
        )


#: The kind of a page hit in ``as_dict``.
PAGE_VIEW = "page_view"


class PageHit(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="page_view"):
    """One page that a visitor has seen.

    Attributes:
        visitor: the visitor's key.
        url: the path of the page, without its query.
        id: the key of the row this becomes.
        time: when the page was served (aware).
        referrer: the page of another site that led here, or ``""``.
        is_internal: whether a page of this site led here.
        campaign: the UTM parameters of the page, by their names without ``utm_``.
        session_key: the key of the session, ``""`` for none, and ``None`` if the page has not
            used it.
        user: the user's primary key as text, ``""`` if nobody is logged in, and ``None`` if the
            page has not loaded the user.
        ip_address: the client's address, or ``None`` if it is not known.
        user_agent: the ``User-Agent`` of the request.
        previous_visitor: the key that a visitor without a cookie had until midnight, if that is
            less than half an hour ago.
        has_cookie: whether the key is that of a cookie.
    """

    visitor: str
    url: str
    id: uuid.UUID = msgspec.field(default_factory=uuid7)
    time: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    referrer: str = ""
    is_internal: bool = False
    campaign: Mapping[str, str] = msgspec.field(default_factory=dict)
    session_key: str | None = None
    user: str | None = None
    ip_address: str | None = None
    user_agent: str = ""
    previous_visitor: str | None = None
    has_cookie: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the hit as a dict of JSON values."""
        return {
            "kind": PAGE_VIEW,
            "visitor": self.visitor,
            "url": self.url,
            "id": self.id.hex,
            "time": self.time.isoformat(),
            "referrer": self.referrer,
            "is_internal": self.is_internal,
            "campaign": dict(self.campaign),
            "session_key": self.session_key,
            "user": self.user,
            "ip_address": self.ip_address,
            "user_agent": self.user_agent,
            "previous_visitor": self.previous_visitor,
            "has_cookie": self.has_cookie,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the hit that ``as_dict`` has turned into ``values``.

        Args:
            values: what ``as_dict`` returned.

        Raises:
            KeyError, TypeError, ValueError: ``values`` are not those of a page hit.
        """
        rest = {name: value for name, value in values.items() if name != "kind"}
        identifier, time = uuid.UUID(values["id"]), datetime.fromisoformat(values["time"])
        return cls(**{**rest, "id": identifier, "time": time})


#: What a backend saves.
AnyHit = Hit | PageHit


def from_dict(values: Mapping[str, Any]) -> AnyHit:
    """Return the hit that ``as_dict`` of either class has turned into ``values``.

    Args:
        values: what ``as_dict`` returned.

    Raises:
        KeyError, TypeError, ValueError: ``values`` are not those of a hit.
    """
    return (PageHit if values["kind"] == PAGE_VIEW else Hit).from_dict(values)
