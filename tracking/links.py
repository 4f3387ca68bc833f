"""URLs of pixels and links, for templates and for code that sends mail.

    from tracking import links

    links.pixel_url([12345], {"campaign": "spring-sale"}, entity=subscriber)
    links.link_url("https://shop.example/", kwargs={"campaign": "spring-sale"}, entity=subscriber)

``source``, ``entity`` and ``target`` are model instances that the beacon refers to. The
arguments go into the beacon's ``data`` and to the callbacks.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from tracking import generic_references, tokens
from tracking.conf import conf
from tracking.destinations import BadDestination, clean_destination
from tracking.hits import Reference

logger = logging.getLogger(__name__)

#: What mail programs and people add to the end of a URL that stands in a text.
TRAILING = " /.,;:!)]>'\""


def pixel_url(
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    source: Model | None = None,
    entity: Model | None = None,
    target: Model | None = None,
    request: HttpRequest | None = None,
    counts: bool = True,
    recipient: int | None = None,
) -> str:
    """Return the URL of a pixel.

    Args:
        args: positional arguments; :func:`tracking.tokens.dumps` lists their types.
        kwargs: keyword arguments of the same types.
        source: the saved row that the reader comes from.
        entity: the saved row of the reader.
        target: the saved row that is shown.
        request: gives the URL its host if ``TRACKING_BASE_URL`` is not set.
        counts: whether opens are recorded; ``False`` for a test.
        recipient: the digest of the address that gets it (:mod:`tracking.recipient_consent`).

    Raises:
        TypeError, ValueError: an argument cannot be part of a URL; the message names it.
    """
    token = tokens.dumps(
        args,
        kwargs or {},
        salt=tokens.PIXEL,
        source=_reference("source", source),
        entity=_reference("entity", entity),
        target=_reference("target", target),
        issued_at=_issued_at() if counts else tokens.UNCOUNTED,
        recipient=recipient,
    )
    return absolute(reverse("tracking:pixel", args=[token]), request)


def link_url(
    url: str = "",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    source: Model | None = None,
    entity: Model | None = None,
    target: Model | None = None,
    request: HttpRequest | None = None,
    counts: bool = True,
    recipient: int | None = None,
) -> str:
    """Return the URL of a redirect that leads to ``url``.

    Args:
        url: an ``http`` or ``https`` URL, or a path of this site. If it is empty, the link leads
            to the URL that ``target`` has when the link is followed (``get_beacon_url()``, or
            else ``get_absolute_url()``, or what Wagtail's pages have).
        args: positional arguments, as for :func:`pixel_url`.
        kwargs: keyword arguments.
        source: the saved row that the reader comes from.
        entity: the saved row of the reader.
        target: the saved row that the link leads to.
        request: gives the URL its host if ``TRACKING_BASE_URL`` is not set.
        counts: whether clicks are recorded; ``False`` for a test.
        recipient: as for :func:`pixel_url`.

    Raises:
        tracking.destinations.BadDestination: no redirect may lead to ``url``.
        TypeError, ValueError: an argument cannot be part of a URL, or ``target`` leads nowhere;
            the message names it.
    """
    token = link_token(
        url,
        args,
        kwargs,
        source=source,
        entity=entity,
        target=target,
        counts=counts,
        recipient=recipient,
    )
    return absolute(reverse("tracking:redirect", args=[token]), request)


def link_token(
    url: str = "",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    source: Model | None = None,
    entity: Model | None = None,
    target: Model | None = None,
    counts: bool = True,
    recipient: int | None = None,
) -> str:
    """Return the token of a redirect. Arguments and errors are those of :func:`link_url`."""
    url = str(url)  # of a lazy string, such as reverse_lazy() returns
    target_reference = _reference("target", target)
    if url:
        clean_destination(url)
    elif target_reference is None:
        raise ValueError("A link needs a URL as its first argument, or a target= to lead to.")
    else:
        _check_target(target)
    return tokens.dumps(
        args,
        kwargs or {},
        salt=tokens.REDIRECT,
        url=url or None,
        source=_reference("source", source),
        entity=_reference("entity", entity),
        target=target_reference,
        issued_at=_issued_at() if counts else tokens.UNCOUNTED,
        recipient=recipient,
    )


def preferences_url(recipient: Model | str, request: HttpRequest | None = None) -> str:
    """Return the URL of the page on which a recipient says whether it may be tracked.

    Args:
        recipient: the saved row of the recipient, or an e-mail address.
        request: gives the URL its host if ``TRACKING_BASE_URL`` is not set.

    Raises:
        TypeError, ValueError: ``recipient`` is neither.
    """
    token = _recipient_token(recipient, tokens.PREFERENCES)
    return absolute(reverse("tracking:preferences", args=[token]), request)


def unsubscribe_url(
    recipient: Model | str, *, source: Model | None = None, request: HttpRequest | None = None
) -> str:
    """Return the URL for the header ``List-Unsubscribe``, which takes one click (RFC 8058).

    Args:
        recipient: the saved row of the recipient, or an e-mail address.
        source: the saved row of the mailing.
        request: gives the URL its host if ``TRACKING_BASE_URL`` is not set.

    Raises:
        TypeError, ValueError: ``recipient`` is neither.
    """
    token = _recipient_token(recipient, tokens.UNSUBSCRIBE, _reference("source", source))
    return absolute(reverse("tracking:unsubscribe", args=[token]), request)


def _recipient_token(recipient: Model | str, salt: str, source: Reference | None = None) -> str:
    """Return a token that never expires: a recipient may change its mind at any time."""
    if isinstance(recipient, str):
        if "@" not in recipient:
            raise ValueError(f"{recipient!r} is no e-mail address.")
        return tokens.dumps((), {"address": str(recipient)}, salt=salt, source=source)
    return tokens.dumps((), {}, salt=salt, source=source, entity=Reference.to(recipient))


def absolute(path: str, request: HttpRequest | None = None) -> str:
    """Return ``path`` with scheme and host if they are known.

    Args:
        path: a path of this site that begins with a slash.
        request: gives the host if ``TRACKING_BASE_URL`` is not set.
    """
    if base_url := conf.base_url:
        return base_url + path
    if request is not None:
        try:
            return request.build_absolute_uri(path)
        except DisallowedHost:
            # The page is served to this host, too: it did not ask for it.
            return path
    else:
        _warn_about_missing_host()
    return path


@cache
def _warn_about_missing_host() -> None:
    """Log once per process what would otherwise be noticed in the mail of readers."""
    logger.warning(
        "TRACKING_BASE_URL is not set: pixels and links that are rendered without a request, as in "
        "mail, have no host."
    )


def _reference(role: str, instance: Any) -> Reference | None:
    # In templates an unknown name is "". An anonymous user is not a row.
    if instance is None or instance == "":
        return None
    if not isinstance(instance, Model) and getattr(instance, "is_anonymous", False):
        return None
    try:
        return Reference.to(instance)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{role}= {error}") from error


def _check_target(target: Any) -> None:
    """Raise ``ValueError`` if a link to a row leads nowhere: better here than for the reader."""
    try:
        generic_references.get_destination(target)
    except (generic_references.NotFound, BadDestination) as error:
        raise ValueError(f"target= {error}") from error


def _issued_at() -> datetime | None:
    """Return the date of a new token if an age limit needs one.

    It is the end of the day (UTC), so that a URL stays the same all day and no token expires
    early.
    """
    if conf.token_max_age is None:
        return None
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
