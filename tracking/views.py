"""The web edge: pixels, redirects, and the view that sites put into their own URLconf.

What may fail on the way never reaches the reader. A pixel is the GIF whatever
happens, a redirect leads where it led, and what went wrong is in the log.
"""

import logging
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, NamedTuple, TypeVar

from django.db import connections, transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from tracking import generic_references, opens_and_clicks, responses, tokens
from tracking.caching import snapshots
from tracking.compat import COROUTINE_MARK
from tracking.db.isolation import log_errors, log_errors_with_savepoints
from tracking.destinations import BadDestination
from tracking.hits import Kind, Reference
from tracking.identity.request_info import RequestInfo
from tracking.models import Source, Target
from tracking.responses import GIF, METHODS
from tracking.waiting import IN_LOOP, IN_THREAD, Waiting, is_in_event_loop, run

__all__ = ["GIF", "pixel", "redirect", "source", "target", "trigger"]

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])
Flow = Callable[[HttpRequest, str, Waiting], Coroutine[Any, Any, HttpResponse]]


def _public_view(view: View) -> View:
    """Mark a public view: no CSRF, no atomic requests.

    What is recorded stays recorded whatever the site's own code does, a database that is down
    stops no reader, and a POST is answered with 405 instead of a page about CSRF.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    view.csrf_exempt = True  # type: ignore[attr-defined]
    return view


class _TokenView:
    """A view that is a coroutine function in an event loop, and a plain function in a thread.

    Django's handlers ask a view which of both it is. They would send a plain function through
    a thread for each request under ASGI, and start an event loop for each request under WSGI
    for a coroutine function.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        update_wrapper(self, flow)
        del self.__dict__["__wrapped__"]  # it takes another argument

    def __call__(self, request: HttpRequest, token: str) -> Any:
        """Return the response, in an event loop by a coroutine."""
        if is_in_event_loop():
            return self._flow(request, token, IN_LOOP)
        return run(self._flow(request, token, IN_THREAD))

    def __getattr__(self, name: str) -> Any:
        if name in COROUTINE_MARK and is_in_event_loop():
            return COROUTINE_MARK[name]
        raise AttributeError(name)


# Tokens.


@_public_view
@_TokenView
async def pixel(request: HttpRequest, token: str, wait: Waiting) -> HttpResponse:
    """Answer with the pixel, and record an open if this site has made the token.

    Args:
        request: the request for the image.
        token: the part of the URL that ``{% tracking_pixel %}`` has made.
        wait: how to wait; Django passes none.

    Returns:
        The GIF, always; with status 405 for methods other than GET and HEAD. In an event loop
        it is to be awaited.
    """
    with log_errors(logger, "Pixel"):
        try:
            await opens_and_clicks.open_pixel(RequestInfo.of(request), token, wait)
        except tokens.BadToken as error:
            logger.info("This site has not made the token of a pixel: %s", error)
    return _pixel_response(request)


@_public_view
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
        destination = await opens_and_clicks.follow_link(RequestInfo.of(request), token, wait)
    except (tokens.BadToken, generic_references.NotFound, BadDestination) as error:
        raise _not_found(request, error) from error
    except Exception as error:
        logger.exception("Redirect failed")
        raise _not_found(request, error) from error
    return responses.redirect_to(destination).to_django()


# Objects named in the URL.


@_public_view
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

    It goes into the site's own URLconf. The models are given there; the ids may come
    from the path::

        path("go/<int:target_id>/<int:source_id>", trigger,
             {"target_type": Offer, "source_type": Affiliate})

    The entity's ``beacon_update(request)``, if it has one, is called before the answer,
    and what it has changed on the entity is saved. HEAD, prefetch and preview requests
    are answered, and neither recorded nor shown to the entity.

    Args:
        request: the request.
        target_type, target_id: where the redirect leads: ``get_beacon_url()`` of the
            instance, else ``get_absolute_url()``. A pixel needs no target.
        source_type, source_id: where the reader comes from.
        entity_type, entity_id: who it is. Without an id a new entity is made; one
            that the request names must exist, so that strangers choose no keys.
        ignore_errors: record without the source or entity (or, for a pixel, target)
            that does not exist, instead of 404.
        pixel: answer with the pixel instead of a redirect.

    Returns:
        The redirect, or for a pixel the GIF, always; with status 405 for other methods
        than GET and HEAD.

    Raises:
        django.http.Http404: not for a pixel: there is no target, it leads nowhere, or
            the source or entity does not exist.
    """
    target = _RowInUrl(target_type, target_id)
    source = _RowInUrl(source_type, source_id)
    entity = _RowInUrl(entity_type, entity_id)
    if pixel:
        return _trigger_open(request, target, source, entity, ignore_errors=ignore_errors)
    return _trigger_click(request, target, source, entity, ignore_errors=ignore_errors)


@_public_view
def target(request: HttpRequest, target_id: int, source_slug: str | None = None) -> HttpResponse:
    """Redirect to a :class:`~tracking.models.Target`: the short link that the app itself has.

    Args:
        request: the request.
        target_id: the primary key of the target.
        source_slug: the slug of a source; one that does not exist is ignored.

    Raises:
        django.http.Http404: there is no such target.
    """
    return _trigger_click(
        request,
        _RowInUrl(Target, target_id),
        _RowInUrl(Source, source_slug, field="slug"),
        _RowInUrl(None, None),
        ignore_errors=True,
    )


@_public_view
def source(request: HttpRequest, source_slug: str) -> HttpResponse:
    """Answer with the pixel of a :class:`~tracking.models.Source`, without any token.

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
    """A row as a URL names it."""

    model: type[Model] | None
    value: Any
    field: str = "pk"

    def find(self, *, or_none: bool = False) -> Model | None:
        """Return the row, or ``None`` if the URL names none.

        Args:
            or_none: ``None`` too for a row that does not exist.

        Raises:
            generic_references.NotFound: it does not exist.
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
    except Exception as error:  # the database is away, a manager of the site fails
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
            if opens_and_clicks.is_live(leads_to):
                _record(request, Kind.CLICK, found, url=destination)
    if missing is not None:
        raise _not_found(request, missing)
    return responses.redirect_to(destination).to_django()


def _record(
    request: HttpRequest, kind: Kind, found: dict[str, Model | None], *, url: str = ""
) -> None:
    """Show the request to the entity and send the hit, unless the request does not count."""
    info = RequestInfo.of(request)
    if info.tracks_visitors and snapshots.is_due():
        run(info.refresh(IN_THREAD))
    if not info.counts():
        return
    entity = found["entity"]
    if entity is not None:
        with log_errors_with_savepoints(logger, "beacon_update of %s", entity._meta.label):
            generic_references.update_entity(entity, request)
        if entity._state.adding or entity.pk is None:  # not saved, or deleted: no row to be tied to
            found = {**found, "entity": None}
    references = {
        role: Reference.to(instance) for role, instance in found.items() if instance is not None
    }
    run(opens_and_clicks.send_hit(info.make_hit(kind, url=url, **references), IN_THREAD))


# What both have in common.


def _not_found(request: HttpRequest, reason: Exception) -> Http404:
    """Return the answer to a link that cannot be followed. The reader is not told why."""
    logger.info("%r leads nowhere: %s", request.path, reason)
    return Http404("This link leads nowhere.")


def _pixel_response(request: HttpRequest) -> HttpResponse:
    allowed = request.method in METHODS
    return (responses.PIXEL if allowed else responses.PIXEL_NOT_ALLOWED).to_django()
