"""A token came back: a pixel was loaded, or a link was followed. Record it.

Views and the edge (:mod:`tracking.edge`) run the same flows, in threads and in event loops (see
:mod:`tracking.sync_and_async`). A flow waits for the database or for code of the site at five
places: the refresh of the snapshots, the look-up of a target, the consent callable, the callbacks,
and sending the hit.
"""

from collections.abc import Mapping
from typing import Any

from tracking import exclusions, generic_references, tokens
from tracking.backends import get_backend
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.db import missing_tables
from tracking.db.isolation import log_errors_with_savepoints, savepoints
from tracking.destinations import clean_destination
from tracking.hits import Kind
from tracking.identity import recent_heads
from tracking.identity.request_info import RequestInfo
from tracking.links import TRAILING
from tracking.log_limits import get_logger
from tracking.models import Target
from tracking.pixel_callbacks import rename_keys, tracker
from tracking.raw_hits import RawHit
from tracking.recipient_consent.decisions import refuses
from tracking.sync_and_async import Waiting
from tracking.tokens import Payload

logger = get_logger(__name__)


async def open_pixel(info: RequestInfo, token: str, wait: Waiting) -> None:
    """Record that a pixel was loaded. Errors after the token is read are logged.

    Args:
        info: what is known of the request for the image.
        token: the part of the URL that ``{% tracking_pixel %}`` has made.
        wait: how to wait.

    Raises:
        tracking.tokens.BadToken: this site has not made the token; nothing is recorded.
    """
    payload, counts = _decode(token, tokens.PIXEL)
    if counts:
        try:
            await _record(info, Kind.OPEN, payload, wait)
        except Exception:
            logger.exception("Pixel failed")


async def follow_link(info: RequestInfo, token: str, wait: Waiting) -> str:
    """Record that a link was followed, and return where it leads.

    Once the destination is known, errors are logged: they never stop the redirect.

    Args:
        info: what is known of the request for the link.
        token: the part of the URL that ``{% tracking_link %}`` has made.
        wait: how to wait.

    Returns:
        The value of the header ``Location``.

    Raises:
        tracking.tokens.BadToken, generic_references.NotFound, destinations.BadDestination:
            the link leads nowhere.
        Exception: the look-up of the target failed.
    """
    payload, counts = _decode(token, tokens.REDIRECT)
    if payload.target is None:
        destination, is_live = _find_destination(payload)
    else:
        destination, is_live = await wait.call(_find_destination, payload)
    if counts and is_live:
        try:
            more = _data_of_head(info, token)
            await _record(info, Kind.CLICK, payload, wait, url=destination, more=more)
            if info.exclusion == exclusions.HEAD:
                recent_heads.remember(info.address, token)
        except Exception:
            logger.exception("Redirect failed")
    return destination


async def send_hit(raw: RawHit, wait: Waiting) -> None:
    """Send a hit to the backend; an error is logged.

    Args:
        raw: the hit.
        wait: how to wait.
    """
    try:
        backend = get_backend()
        if not backend.take(raw):
            await wait.send(backend, raw.to_hit())
    except Exception as error:
        if not missing_tables.is_known(error):
            logger.exception("Recording of %s %s failed", raw.kind, raw.uuid)


def is_live(target: Any) -> bool:
    """Return whether a link to this row is counted now."""
    return target.is_live if isinstance(target, Target) else True


async def _record(
    info: RequestInfo,
    kind: Kind,
    payload: Payload,
    wait: Waiting,
    *,
    url: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Call the callbacks and send a hit, if the request counts."""
    tracks_visitors = info.tracks_visitors
    has_recipient = payload.entity is not None or payload.recipient is not None
    if (tracks_visitors or has_recipient) and snapshots.is_due():
        await snapshots.refresh_for_request(wait)
    if not info.counts():
        return
    if has_recipient and refuses(kind, payload.entity, payload.recipient):
        return
    if tracks_visitors and conf.consent:
        await info.ask_consent(wait)
    data = payload.kwargs
    if payload.args:
        data = {"args": payload.args, **rename_keys(payload.kwargs, ["args"])}
    if more:
        data = {**data, **more}
    raw = info.make_raw_hit(
        kind, data, url, payload.target, payload.source, payload.entity, payload.recipient
    )
    if tracker.has_callbacks:
        await wait.call(tracker.notify, info.request, payload.args, payload.kwargs)
    await send_hit(raw, wait)


def _data_of_head(info: RequestInfo, token: str) -> dict[str, Any]:
    """Return as data of the beacon that the client has sent a HEAD before, if it has."""
    if recent_heads.are_any() and recent_heads.was_asked(info.address, token):
        return {recent_heads.ASKED_WITH_HEAD: True}
    return {}


def _decode(token: str, salt: str) -> tuple[Payload, bool]:
    """Return the payload of a token, and whether it is young enough to count.

    Characters that a mail program has added to its end are ignored.
    """
    try:
        payload = tokens.loads(token, salt=salt, max_age=conf.token_max_age)
    except tokens.ExpiredToken as expired:
        # Tokens from before the site had an age limit have no date. They still count.
        return expired.payload, expired.payload.issued_at is None
    except tokens.BadToken:
        # Only now: the tokens of a site's own encoder may end like this.
        trimmed = token.rstrip(TRAILING)
        if trimmed == token:
            raise
        return _decode(trimmed, salt)
    return payload, payload.issued_at != tokens.UNCOUNTED


def _find_destination(payload: Payload) -> tuple[str, bool]:
    """Return where a link leads, and whether it still counts.

    Raises:
        NotFound, BadDestination: the link leads nowhere.
    """
    if payload.url is None:
        if payload.target is None:
            raise generic_references.NotFound("The token names neither a URL nor a target.")
        with savepoints():
            target = generic_references.resolve(payload.target)
            return generic_references.get_destination(target), is_live(target)
    live = True
    if payload.target is not None and payload.target.label == Target._meta.label_lower:
        # The URL is in the token: a database that is down must not stop the reader.
        with log_errors_with_savepoints(logger, "Look at target %s", payload.target.pk):
            try:
                live = is_live(generic_references.resolve(payload.target))
            except generic_references.NotFound:
                live = False  # a link to a deleted target no longer counts
    return clean_destination(payload.url), live
