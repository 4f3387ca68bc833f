"""The web edge: pixels, redirects, and the view that sites put into their own URLconf.

What may fail on the way never reaches the reader. A pixel is the GIF whatever
happens, a redirect leads where it led, and what went wrong is in the log.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from tracking import consent, filters, objects, snapshots, tokens, verdicts, visiting
from tracking.backends import get_backend
from tracking.conf import conf
from tracking.destinations import BadDestination, location
from tracking.hits import Hit, Kind, Reference, header
from tracking.isolation import isolated
from tracking.models import Source, Target
from tracking.registry import renamed, tracker

logger = logging.getLogger(__name__)

#: One transparent pixel: the smallest GIF that every mail client draws, 43 bytes.
#: Header and 1 x 1 screen with a palette of two colours; graphic control extension
#: that makes the first transparent; one image of one pixel; trailer (GIF89a).
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

METHODS = ("GET", "HEAD")


def _edge_view(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Mark a view of strangers.

    It takes no part in ``ATOMIC_REQUESTS`` of any database, so that what is recorded stays
    recorded whatever the site's own code does, and a database that is away stops nobody;
    and other methods than GET and HEAD get the answer that names these, instead of a page
    about CSRF.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return csrf_exempt(view)


# Tokens.


@_edge_view
def pixel(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with the pixel, and record an open if the token is ours.

    Args:
        request: the request for the image.
        token: what ``{% tracking_pixel %}`` has put into its URL.

    Returns:
        The GIF, always; with status 405 for other methods than GET and HEAD.
    """
    with isolated(logger, "Pixel"):
        try:
            payload, counts = _read(token, tokens.PIXEL)
        except tokens.BadToken as error:
            logger.info("A pixel is not ours: %s", error)
        else:
            if counts:
                _observe(request, Kind.OPEN, payload)
    return _gif(request)


@_edge_view
def redirect(request: HttpRequest, token: str) -> HttpResponse:
    """Send the reader where the token says, and record a click.

    Args:
        request: the request for the link.
        token: what ``{% tracking_link %}`` has put into its URL.

    Returns:
        A redirect; status 405 for other methods than GET and HEAD.

    Raises:
        django.http.Http404: the token is not ours, or what it leads to is gone.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    destination = None
    nowhere: Exception = objects.Missing("looking for the destination failed")
    with isolated(logger, "Redirect"):
        try:
            payload, counts = _read(token, tokens.REDIRECT)
            destination, live = _destination(payload)
        except (tokens.BadToken, objects.Missing, BadDestination) as error:
            nowhere = error
        else:
            if counts and live:
                _observe(request, Kind.CLICK, payload, url=destination)
    if destination is None:
        raise _nowhere(request, nowhere)
    return _found(destination)


def _read(token: str, salt: str) -> tuple[tokens.Payload, bool]:
    """Return what a token says, and whether it is young enough to count."""
    try:
        return tokens.loads(token, salt=salt, max_age=conf.token_max_age), True
    except tokens.ExpiredToken as expired:
        # What was sent before the site had an age limit carries no date, and counts on.
        return expired.payload, expired.payload.issued_at is None


def _destination(payload: tokens.Payload) -> tuple[str, bool]:
    """Return where a link leads, and whether it still counts.

    Raises:
        objects.Missing, BadDestination: nowhere.
    """
    if payload.url is None:
        if payload.target is None:
            raise objects.Missing("The token names neither a URL nor a target.")
        target = objects.resolve(payload.target)
        return objects.destination(target), _is_live(target)
    live = True
    if payload.target is not None and payload.target.label == Target._meta.label_lower:
        # The URL is in the token: a database that is away must not stop the reader.
        with isolated(logger, "Look at target %s", payload.target.pk):
            try:
                live = _is_live(objects.resolve(payload.target))
            except objects.Missing:
                live = False  # deleting a target revokes its links
    return location(payload.url), live


def _observe(request: HttpRequest, kind: Kind, payload: tokens.Payload, *, url: str = "") -> None:
    """Tell the callbacks of the site and the backend, unless the request does not count."""
    if _is_uncounted(request):
        return
    data = payload.kwargs
    if payload.args:
        data = {"args": payload.args, **renamed(payload.kwargs, ["args"])}
    hit = Hit.from_request(
        request,
        kind,
        target=payload.target,
        source=payload.source,
        entity=payload.entity,
        data=data,
        url=url,
        visitor=visiting.key_of(request),
    )
    tracker.notify(request, payload.args, payload.kwargs)
    _send(hit)


# Objects named in the URL.


@_edge_view
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
    target = _Named(target_type, target_id)
    source = _Named(source_type, source_id)
    entity = _Named(entity_type, entity_id)
    if pixel:
        return _trigger_open(request, target, source, entity, ignore_errors=ignore_errors)
    return _trigger_click(request, target, source, entity, ignore_errors=ignore_errors)


@_edge_view
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
        _Named(Target, target_id),
        _Named(Source, source_slug, field="slug"),
        _Named(None, None),
        ignore_errors=True,
    )


@_edge_view
def source(request: HttpRequest, source_slug: str) -> HttpResponse:
    """Answer with the pixel of a :class:`~tracking.models.Source`, without any token.

    Args:
        request: the request.
        source_slug: the slug of the source; nothing is recorded for one that does not exist.
    """
    return _trigger_open(
        request,
        _Named(None, None),
        _Named(Source, source_slug, field="slug"),
        _Named(None, None),
        ignore_errors=False,
    )


class _Named(NamedTuple):
    """A row as a URL names it."""

    model: type[Model] | None
    value: Any
    field: str = "pk"

    def find(self, *, or_none: bool = False) -> Model | None:
        """Return the row, or ``None`` if the URL names none.

        Args:
            or_none: ``None`` too for a row that does not exist.

        Raises:
            objects.Missing: it does not exist.
        """
        if self.value is None:
            return None
        try:
            return objects.find(self.model, self.value, self.field)
        except objects.Missing:
            if or_none:
                return None
            raise

    def find_or_new(self, *, or_none: bool = False) -> Model | None:
        """Return the row, or a new instance if the URL names a model and no row of it."""
        if self.model is not None and self.value is None:
            return self.model()
        return self.find(or_none=or_none)


def _trigger_open(
    request: HttpRequest, target: _Named, source: _Named, entity: _Named, *, ignore_errors: bool
) -> HttpResponse:
    with isolated(logger, "Pixel %r", request.path):
        try:
            found = {
                "target": target.find(or_none=ignore_errors),
                "source": source.find(or_none=ignore_errors),
                "entity": entity.find_or_new(or_none=ignore_errors),
            }
        except objects.Missing as error:
            logger.info("Pixel %r is not recorded: %s", request.path, error)
        else:
            _note(request, Kind.OPEN, found)
    return _gif(request)


def _trigger_click(
    request: HttpRequest, target: _Named, source: _Named, entity: _Named, *, ignore_errors: bool
) -> HttpResponse:
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    try:
        leads_to = objects.find(target.model, target.value, target.field)
        destination = objects.destination(leads_to)
    except (objects.Missing, BadDestination) as error:
        raise _nowhere(request, error) from error
    except Exception as error:  # the database is away, a manager of the site fails
        logger.exception("Click %r failed", request.path)
        raise _nowhere(request, error) from error
    missing = None
    with isolated(logger, "Click %r", request.path):
        try:
            found = {
                "target": leads_to,
                "source": source.find(or_none=ignore_errors),
                "entity": entity.find_or_new(or_none=ignore_errors),
            }
        except objects.Missing as error:
            missing = error
        else:
            if _is_live(leads_to):
                _note(request, Kind.CLICK, found, url=destination)
    if missing is not None:
        raise _nowhere(request, missing)
    return _found(destination)


def _note(
    request: HttpRequest, kind: Kind, found: dict[str, Model | None], *, url: str = ""
) -> None:
    """Show the request to the entity and send the hit, unless the request does not count."""
    if _is_uncounted(request):
        return
    entity = found["entity"]
    if entity is not None:
        with isolated(logger, "beacon_update of %s", entity._meta.label):
            objects.update_entity(entity, request)
        if entity._state.adding or entity.pk is None:  # not saved, or deleted: no row to be tied to
            found = {**found, "entity": None}
    references = {
        role: Reference.to(instance) for role, instance in found.items() if instance is not None
    }
    visitor = visiting.key_of(request)
    _send(Hit.from_request(request, kind, url=url, visitor=visitor, **references))


# What both have in common.


def _is_uncounted(request: HttpRequest) -> bool:
    """Return whether the request is nobody looking, or of somebody who is not to be tracked."""
    reason = verdicts.uncounted(request)
    if reason is None and consent.opts_out(request):
        reason = "opt-out"
    if reason is None and _is_untracked(request):
        reason = "untracked user agent"
    if reason is not None:
        logger.debug("%r is not counted: %s", request.path, reason)
    return reason is not None


def _is_untracked(request: HttpRequest) -> bool:
    # Only where visitors are tracked: for mail alone, a hit stays one INSERT and nothing else.
    if not visiting.is_marked(request):
        return False
    if snapshots.due():
        snapshots.refresh()
    return filters.is_untracked(header(request, "HTTP_USER_AGENT"))


def _is_live(target: Model) -> bool:
    return target.is_live if isinstance(target, Target) else True


def _send(hit: Hit) -> None:
    with isolated(logger, "Recording of %s %s", hit.kind, hit.id):
        get_backend().send(hit)


def _nowhere(request: HttpRequest, reason: Exception) -> Http404:
    """Return the answer to a link that cannot be followed. The reader is not told why."""
    logger.info("%r leads nowhere: %s", request.path, reason)
    return Http404("This link leads nowhere.")


def _gif(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(
        GIF,
        content_type="image/gif",
        headers={
            "Content-Length": str(len(GIF)),
            # Each look is a request of its own, also the second one.
            "Cache-Control": "no-store",
            # Pages that isolate themselves (COEP: require-corp) may load it all the same.
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )
    if request.method not in METHODS:
        response.status_code = 405
        response["Allow"] = ", ".join(METHODS)
    return response


def _found(location: str) -> HttpResponse:
    """Return the redirect. Not Django's own class, which would re-spell the destination."""
    return HttpResponse(
        status=302,
        headers={
            "Location": location,
            "Cache-Control": "no-store",
            # Where the reader comes from (often a webmail) is not the destination's business.
            "Referrer-Policy": "no-referrer",
        },
    )
