"""What a token that comes back makes known: a pixel was loaded, a link was followed.

The same for Django's views and ahead of Django (:mod:`tracking.edge`), and each twice: for
threads, and for an event loop, which nothing here holds up. There, what may ask a database
(callbacks, a consent callable, a target of the site) goes into a thread, and all else does
not.
"""

import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from tracking import exclusions, generic_references, tokens
from tracking.backends import get_backend
from tracking.callbacks import renamed, tracker
from tracking.conf import conf
from tracking.db.isolation import log_errors, log_errors_with_savepoints, savepoints
from tracking.destinations import location
from tracking.hits import Hit, Kind, header
from tracking.identity import browser_consent, request_info
from tracking.models import Target
from tracking.tokens import Payload

logger = logging.getLogger(__name__)


def open_pixel(request: HttpRequest, token: str) -> None:
    """Record that a pixel was loaded. What fails after the token is read is logged.

    Args:
        request: the request for the image.
        token: what ``{% tracking_pixel %}`` has put into its URL.

    Raises:
        tracking.tokens.BadToken: it is not ours; nothing is recorded.
    """
    payload, counts = _read(token, tokens.PIXEL)
    if counts:
        with log_errors(logger, "Pixel"):
            if request_info.is_marked(request):
                request_info.refresh(request)
            if hit := _hit(request, Kind.OPEN, payload):
                _note(request, payload, hit)


async def aopen_pixel(request: HttpRequest, token: str) -> None:
    """Do the same as :func:`open_pixel` in an event loop."""
    payload, counts = _read(token, tokens.PIXEL)
    if counts:
        with log_errors(logger, "Pixel"):
            if request_info.is_marked(request):
                await request_info.arefresh(request)
            if hit := await _ahit(request, Kind.OPEN, payload):
                await _anote(request, payload, hit)


def follow_link(request: HttpRequest, token: str) -> str:
    """Record that a link was followed, and return where it leads.

    What fails once that is known is logged, and stops nobody.

    Args:
        request: the request for the link.
        token: what ``{% tracking_link %}`` has put into its URL.

    Returns:
        The value of the header ``Location``.

    Raises:
        BadToken, generic_references.Missing, BadDestination:
            it leads nowhere.
        Exception: looking for the destination failed.
    """
    payload, counts = _read(token, tokens.REDIRECT)
    destination, is_live = _destination(payload)
    if counts and is_live:
        with log_errors(logger, "Redirect"):
            if request_info.is_marked(request):
                request_info.refresh(request)
            if hit := _hit(request, Kind.CLICK, payload, destination):
                _note(request, payload, hit)
    return destination


async def afollow_link(request: HttpRequest, token: str) -> str:
    """Do the same as :func:`follow_link` in an event loop."""
    payload, counts = _read(token, tokens.REDIRECT)
    look = _destination if payload.target is None else sync_to_async(_destination)
    found = look(payload)
    destination, is_live = found if isinstance(found, tuple) else await found
    if counts and is_live:
        with log_errors(logger, "Redirect"):
            if request_info.is_marked(request):
                await request_info.arefresh(request)
            if hit := await _ahit(request, Kind.CLICK, payload, destination):
                await _anote(request, payload, hit)
    return destination


def is_uncounted(request: HttpRequest) -> bool:
    """Return whether ``request`` is nobody looking, or of somebody who is not to be tracked.

    It looks at the snapshots only; whether they are up to date is the caller's business.

    Args:
        request: the request as Django hands it to a view.
    """
    reason = exclusions.exclude_request(request)
    if reason is None and exclusions.opts_out(request):
        reason = exclusions.OPT_OUT
    if reason is None and _is_untracked(request):
        reason = exclusions.UNTRACKED_AGENT
    if reason is not None:
        logger.debug("%r is not counted: %s", request.path, reason)
    return reason is not None


def send(hit: Hit) -> None:
    """Give a hit to the backend; a failure is logged and stays its own."""
    with log_errors(logger, "Recording of %s %s", hit.kind, hit.id):
        get_backend().send_apart(hit)


def _read(token: str, salt: str) -> tuple[Payload, bool]:
    """Return what a token says, and whether it is young enough to count."""
    try:
        return tokens.loads(token, salt=salt, max_age=conf.token_max_age), True
    except tokens.ExpiredToken as expired:
        # What was sent before the site had an age limit carries no date, and counts on.
        return expired.payload, expired.payload.issued_at is None


def _destination(payload: Payload) -> tuple[str, bool]:
    """Return where a link leads, and whether it still counts.

    Raises:
        objects.Missing, BadDestination: nowhere.
    """
    if payload.url is None:
        if payload.target is None:
            raise generic_references.Missing("The token names neither a URL nor a target.")
        with savepoints():
            target = generic_references.resolve(payload.target)
            return generic_references.destination(target), is_live(target)
    live = True
    if payload.target is not None and payload.target.label == Target._meta.label_lower:
        # The URL is in the token: a database that is away must not stop the reader.
        with log_errors_with_savepoints(logger, "Look at target %s", payload.target.pk):
            try:
                live = is_live(generic_references.resolve(payload.target))
            except generic_references.Missing:
                live = False  # deleting a target revokes its links
    return location(payload.url), live


def is_live(target: Any) -> bool:
    """Return whether a link to this row is counted now."""
    return target.is_live if isinstance(target, Target) else True


def _hit(request: HttpRequest, kind: Kind, payload: Payload, url: str = "") -> Hit | None:
    """Return what is recorded of a request, or ``None`` if it does not count."""
    if is_uncounted(request):
        return None
    data = payload.kwargs
    if payload.args:
        data = {"args": payload.args, **renamed(payload.kwargs, ["args"])}
    return Hit.from_request(
        request,
        kind,
        target=payload.target,
        source=payload.source,
        entity=payload.entity,
        data=data,
        url=url,
        visitor=request_info.key_of(request),
    )


async def _ahit(request: HttpRequest, kind: Kind, payload: Payload, url: str = "") -> Hit | None:
    if browser_consent.asks() and request_info.is_marked(request):
        return await sync_to_async(_hit)(request, kind, payload, url)
    return _hit(request, kind, payload, url)


def _note(request: HttpRequest, payload: Payload, hit: Hit) -> None:
    """Tell the callbacks of the site and the backend."""
    tracker.notify(request, payload.args, payload.kwargs)
    send(hit)


async def _anote(request: HttpRequest, payload: Payload, hit: Hit) -> None:
    if tracker.has_callbacks:
        await sync_to_async(tracker.notify)(request, payload.args, payload.kwargs)
    with log_errors(logger, "Recording of %s %s", hit.kind, hit.id):
        await get_backend().asend(hit)


def _is_untracked(request: HttpRequest) -> bool:
    # Only where visitors are tracked: for mail alone, a hit stays one INSERT and nothing else.
    if not request_info.is_marked(request):
        return False
    return exclusions.is_untracked(header(request, "HTTP_USER_AGENT"))
