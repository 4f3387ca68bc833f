"""Views of pixels and redirects, and ``trigger``, which sites put into their own URLconf.

Errors never reach the reader: a pixel is always the GIF, and a redirect leads to its destination.
The log has the errors.
"""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, NamedTuple

from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from tracking import generic_references, record_opens_and_clicks, responses, tokens
from tracking.caching import snapshots
from tracking.compat import COROUTINE_MARK, is_in_event_loop
from tracking.db.isolation import log_errors_with_savepoints
from tracking.destinations import BadDestination
from tracking.hits import Kind, Reference
from tracking.identity.request_info import RequestInfo
from tracking.log_limits import get_logger
from tracking.models import Source, Target
from tracking.recipient_consent.decisions import refuses
from tracking.responses import GIF, METHODS, public_view
from tracking.sync_and_async import IN_LOOP, IN_THREAD, Waiting, run

__all__ = ["GIF", "pixel", "redirect", "source", "target", "trigger"]

logger = get_logger(__name__)

Flow = Callable[[HttpRequest, str, Waiting], Coroutine[Any, Any, HttpResponse]]


class _TokenView:
    """A view that is a coroutine function in an event loop, and a plain function in a thread.

    Django's handlers ask a view which of the two it is. Under ASGI they run a plain function in
    a thread, under WSGI they start an event loop for a coroutine function: for each request.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        update_wrapper(self, flow)
        del self.__dict__["__wrapped__"]  # it takes another argument

    def __call__(self, request: HttpRequest, token: str) -> Any:
        """Return the response; in an event loop, return a coroutine that returns it."""
        if is_in_event_loop():
            return self._flow(request, token, IN_LOOP)
        return run(self._flow(request, token, IN_THREAD))

    def __getattr__(self, name: str) -> Any:
        if name in COROUTINE_MARK and is_in_event_loop():
            return COROUTINE_MARK[name]
        raise AttributeError(name)


# Tokens.


@public_view
@_TokenView
async def pixel(request: HttpRequest, token: str, wait: Waiting) -> HttpResponse:
    """Respond with the pixel, and record an open if this site has made the token.

    Args:
        request: the request for the image.
        token: the part of the URL that ``{% tracking_pixel %}`` has made.
        wait: how to wait; Django passes none.

    Returns:
        The GIF, always; with status 405 for methods other than GET and HEAD. In an event loop
        it is to be awaited.
    """
    try:
        await record_opens_and_clicks.open_pixel(RequestInfo.of(request), token, wait)
    except tokens.BadToken as error:
        logger.info("This site has not made the token of a pixel: %s", error)
    except Exception:
        logger.exception("Pixel failed")
    return _pixel_response(request)


@public_view
@_TokenView
async def redirect(request: HttpRequest, token: str, wait: Waiting) -> HttpResponse:
    """Send the reader where the token says, and record a click.

    Args:
        request: the request for the link.
        token: the part of the URL that ``{% tracking_link %}`` has made.
        wait: how to wait; Django passes none.

    Returns:
        A redirect; status 405 for methods other than GET and HEAD. In an event loop it is to
        be awaited.

    Raises:
        django.http.Http404: this site has not made the token, or what it leads to is gone.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    try:
        destination = await record_opens_and_clicks.follow_link(
            RequestInfo.of(request), token, wait
        )
    except (tokens.BadToken, generic_references.NotFound, BadDestination) as error:
        raise _not_found(request, error) from error
    except Exception as error:
        logger.exception("Redirect failed")
        raise _not_found(request, error) from error
    return responses.redirect_to(destination).to_django()


# Objects named in the URL.


@public_view
def trigger(
    request: HttpRequest,
    target_type: type[Model] | None = None,
    target_id: Any = None,
    source_type: type[Model] | None = None,
    source_id: Any = None,
    entity_type: type[Model] | None = None,
    entity_id: Any = None,
    ignore_errors: bool = False,
    pixel: bool = False,
) -> HttpResponse:
    """Record a beacon for the objects that a URL of the site names, and redirect to the target.

    Put it into the site's own URLconf, with the models. The ids may come from the path::

        path("go/<int:target_id>/<int:source_id>", trigger,
             {"target_type": Offer, "source_type": Affiliate})

    The entity's ``beacon_update(request)``, if it has one, is called before the response, and its
    changes of the entity are saved. Requests that are not counted (:mod:`tracking.exclusions`)
    get the same response, but are not recorded and not passed to the entity.

    Args:
        request: the request.
        target_type: the model of the target.
        target_id: its key. The redirect leads to the target's ``get_beacon_url()``, or else its
            ``get_absolute_url()``. A pixel needs no target.
        source_type: the model of the source, which the reader comes from.
        source_id: its key.
        entity_type: the model of the entity, which is the reader.
        entity_id: its key. Without a key a new entity is made. An entity with a key must exist,
            so that clients cannot choose keys.
        ignore_errors: if the source or entity (or, for a pixel, the target) does not exist,
            record without it, instead of 404.
        pixel: respond with the pixel instead of a redirect.

    Returns:
        The redirect, or always the GIF for a pixel; with status 405 for methods other than GET
        and HEAD.

    Raises:
        django.http.Http404: not for a pixel: the target does not exist or leads nowhere, or
            the source or entity does not exist.
    """
    target = _RowInUrl(target_type, target_id)
    source = _RowInUrl(source_type, source_id)
    entity = _RowInUrl(entity_type, entity_id)
    if pixel:
        return _trigger_open(request, target, source, entity, ignore_errors=ignore_errors)
    return _trigger_click(request, target, source, entity, ignore_errors=ignore_errors)


@public_view
def target(request: HttpRequest, target_id: int, source_slug: str | None = None) -> HttpResponse:
    """Redirect to a :class:`~tracking.models.Target`: the app's own short link.

    Args:
        request: the request.
        target_id: the primary key of the target.
        source_slug: the slug of a source; one that does not exist is ignored.

    Raises:
        django.http.Http404: the target does not exist.
    """
    return _trigger_click(
        request,
        _RowInUrl(Target, target_id),
        _RowInUrl(Source, source_slug, field="slug"),
        _RowInUrl(None, None),
        ignore_errors=True,
    )


@public_view
def source(request: HttpRequest, source_slug: str) -> HttpResponse:
    """Respond with the pixel of a :class:`~tracking.models.Source`, without a token.

    Args:
        request: the request.
        source_slug: the slug of the source; nothing is recorded for one that does not exist.
    """
    return _trigger_open(
        request,
        _RowInUrl(None, None),
        _RowInUrl(Source, source_slug, field="slug"),
        _RowInUrl(None, None),
        ignore_errors=False,
    )


class _RowInUrl(NamedTuple):
    """A row that a URL names."""

    model: type[Model] | None
    value: Any
    field: str = "pk"

    def find(self, *, or_none: bool = False) -> Model | None:
        """Return the row, or ``None`` if the URL names none.

        Args:
            or_none: return ``None`` if the row does not exist, too.

        Raises:
            generic_references.NotFound: the row does not exist.
        """
        if self.value is None:
            return None
        try:
            return generic_references.get_object(self.model, self.value, self.field)
        except generic_references.NotFound:
            if or_none:
                return None
            raise

    def find_or_new(self, *, or_none: bool = False) -> Model | None:
        """Return the row, or a new instance if the URL names a model and no row of it."""
        if self.model is not None and self.value is None:
            return self.model()
        return self.find(or_none=or_none)


def _trigger_open(
    request: HttpRequest,
    target: _RowInUrl,
    source: _RowInUrl,
    entity: _RowInUrl,
    *,
    ignore_errors: bool,
) -> HttpResponse:
    with log_errors_with_savepoints(logger, "Pixel %r", request.path):
        try:
            found = {
                "target": target.find(or_none=ignore_errors),
                "source": source.find(or_none=ignore_errors),
                "entity": entity.find_or_new(or_none=ignore_errors),
            }
        except generic_references.NotFound as error:
            logger.info("Pixel %r is not recorded: %s", request.path, error)
        else:
            _record(request, Kind.OPEN, found)
    return _pixel_response(request)


def _trigger_click(
    request: HttpRequest,
    target: _RowInUrl,
    source: _RowInUrl,
    entity: _RowInUrl,
    *,
    ignore_errors: bool,
) -> HttpResponse:
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    try:
        leads_to = generic_references.get_object(target.model, target.value, target.field)
        destination = generic_references.get_destination(leads_to)
    except (generic_references.NotFound, BadDestination) as error:
        raise _not_found(request, error) from error
    except Exception as error:  # the database is down, a manager of the site fails
        logger.exception("Click %r failed", request.path)
        raise _not_found(request, error) from error
    missing = None
    with log_errors_with_savepoints(logger, "Click %r", request.path):
        try:
            found = {
                "target": leads_to,
                "source": source.find(or_none=ignore_errors),
                "entity": entity.find_or_new(or_none=ignore_errors),
            }
        except generic_references.NotFound as error:
            missing = error
        else:
            if record_opens_and_clicks.is_live(leads_to):
                _record(request, Kind.CLICK, found, url=destination)
    if missing is not None:
        raise _not_found(request, missing)
    return responses.redirect_to(destination).to_django()


def _record(
    request: HttpRequest, kind: Kind, found: dict[str, Model | None], *, url: str = ""
) -> None:
    """Update the entity and send the hit, if the request counts."""
    info = RequestInfo.of(request)
    entity = found["entity"]
    has_recipient = entity is not None and not entity._state.adding
    if (info.tracks_visitors or has_recipient) and snapshots.is_due():
        run(snapshots.refresh_for_request(IN_THREAD))
    if not info.counts():
        return
    if entity is not None and has_recipient and refuses(kind, Reference.to(entity), None):
        return
    if entity is not None:
        with log_errors_with_savepoints(logger, "beacon_update of %s", entity._meta.label):
            generic_references.update_entity(entity, request)
        if entity._state.adding or entity.pk is None:  # not saved, or deleted
            found = {**found, "entity": None}
    references = {
        role: Reference.to(instance) for role, instance in found.items() if instance is not None
    }
    raw = info.make_raw_hit(
        kind,
        url=url,
        target=references.get("target"),
        source=references.get("source"),
        entity=references.get("entity"),
    )
    run(record_opens_and_clicks.send_hit(raw, IN_THREAD))


# Responses.


def _not_found(request: HttpRequest, reason: Exception) -> Http404:
    """Log why a link cannot be followed, and return the error, which does not say it."""
    logger.info("%r leads nowhere: %s", request.path, reason)
    return Http404("This link leads nowhere.")


def _pixel_response(request: HttpRequest) -> HttpResponse:
    if request.method in METHODS:
        return responses.django_pixel()
    return responses.PIXEL_NOT_ALLOWED.to_django()
