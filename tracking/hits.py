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
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db.models import Model, TextChoices
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty
from django.utils.translation import gettext_lazy as _

from tracking import client_address

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
            referrer=header(request, "HTTP_REFERER"),
            ip_address=client_address.recorded_address(request),
            user_agent=header(request, "HTTP_USER_AGENT"),
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

    @classmethod
    def from_request(cls, request: HttpRequest, visitor: str) -> Self:
        """Return a hit that carries what ``request`` tells of its sender.

        Nothing is loaded for it: the session and the user count as far as the page has
        used them.

        Args:
            request: the request for the page.
            visitor: the key of the browser.
        """
        return cls(
            visitor=visitor,
            url=request.path,
            referrer=_outside_referrer(request),
            campaign=_campaign(request),
            session_key=_session_key(request),
            user=_user(request),
            ip_address=client_address.recorded_address(request),
            user_agent=header(request, "HTTP_USER_AGENT"),
        )

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


def header(request: HttpRequest, key: str) -> str:
    """Return a header as text: UTF-8 where it is that, else Latin-1.

    WSGI (PEP 3333) and Django's ASGI handler both hand over headers decoded as
    Latin-1, whatever the client has sent.

    Args:
        request: the request as Django hands it to a view or middleware.
        key: the header as ``request.META`` names it.
    """
    value: str = request.META.get(key, "")
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:  # real Latin-1, or real text set by code of the site
        return value


def _outside_referrer(request: HttpRequest) -> str:
    """Return the ``Referer``, unless it is a page of this site."""
    referrer = header(request, "HTTP_REFERER")
    if not referrer:
        return ""
    # What Django thinks of the host is for the site; asking it costs more than all else here.
    host = None if settings.USE_X_FORWARDED_HOST else request.META.get("HTTP_HOST")
    try:
        host = host or request.get_host()
    except DisallowedHost:
        return ""
    # What is longer than most is not remembered: strangers write what they like.
    is_outside = _is_outside if len(referrer) <= _USUAL_REFERRER else _is_outside.__wrapped__
    return referrer if is_outside(referrer, host) else ""


_USUAL_REFERRER = 200


@lru_cache(maxsize=4_000)
def _is_outside(referrer: str, host: str) -> bool:
    try:
        came_from = urlsplit(referrer)
        here = urlsplit(f"{came_from.scheme}://{host}")
        return _origin(came_from) != _origin(here)
    except ValueError:
        return False


def _origin(parts: SplitResult) -> tuple[str | None, int | None]:
    """Return host and port; a port that the scheme has anyway is none."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.hostname, None if parts.port == usual else parts.port


_UTM = ("source", "medium", "campaign", "term", "content")
#: More than any campaign has; what is longer is not read.
_MAX_QUERY = 4_000


def _campaign(request: HttpRequest) -> dict[str, str]:
    query = request.META.get("QUERY_STRING", "")
    if "utm_" not in query:
        return {}
    if len(query) > _MAX_QUERY:
        query = query[:_MAX_QUERY].rpartition("&")[0]
    # By hand, because request.GET raises on a thousand parameters.
    found = dict(parse_qsl(query, errors="replace"))
    return {name: found["utm_" + name] for name in _UTM if "utm_" + name in found}


#: Characters of the longest key of a session. Sessions that are kept in a signed cookie call
#: their whole content a key, which is none of our business.
_MAX_SESSION_KEY = 40


def _session_key(request: HttpRequest) -> str | None:
    """Return the key of the session, ``""`` for none, and ``None`` if the page has not used it."""
    session = getattr(request, "session", None)
    # A session that the page has not touched stays untouched.
    if not getattr(session, "accessed", False):
        return None
    key = getattr(session, "session_key", None) or ""
    return key if len(key) <= _MAX_SESSION_KEY else ""


def _user(request: HttpRequest) -> str | None:
    """Return the key of the user as far as the page has loaded it."""
    user: Any = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:
        # The page may have asked another way: django.contrib.auth.get_user, request.auser().
        user = getattr(request, "_cached_user", None) or getattr(request, "_acached_user", None)
    if user is None:
        return None
    if not getattr(user, "is_authenticated", False) or user.pk is None:
        return ""
    return str(user.pk)
