"""Template tags: ``{% load tracking_tags %}``.

In ``tracking_pixel`` and ``tracking_link``, ``source=``, ``entity=`` and ``target=`` take model
instances, which become the generic foreign keys of the beacon. Every other argument goes into
its data and to the callbacks.
"""

from collections.abc import Callable
from typing import Any

from django import template
from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tracking import links, recipient_consent
from tracking.active_visitors import online_count
from tracking.db.isolation import log_errors
from tracking.destinations import clean_destination
from tracking.hits import Kind
from tracking.identity.request_info import RequestInfo
from tracking.log_limits import get_logger

logger = get_logger(__name__)

register = template.Library()


# Positional-only parameters let a template pass keyword arguments of the same names.


@register.simple_tag(takes_context=True)
def tracking_pixel(
    context: template.Context,
    /,
    *args: Any,
    source: Model | None = None,
    entity: Model | None = None,
    target: Model | None = None,
    **kwargs: Any,
) -> SafeString:
    """Render an invisible image that records an open when it is loaded.

    {% tracking_pixel "newsletter" campaign="spring-sale" entity=subscriber %}

    For an entity that has not agreed (:mod:`tracking.recipient_consent`), it renders nothing.
    """
    if not _allows(entity, Kind.OPEN):
        return SafeString("")
    url = links.pixel_url(
        args, kwargs, source=source, entity=entity, target=target, request=_request(context)
    )
    return format_html('<img src="{}" width="1" height="1" alt="">', url)


@register.simple_tag(takes_context=True)
def tracking_link(
    context: template.Context,
    url: str = "",
    /,
    *args: Any,
    source: Model | None = None,
    entity: Model | None = None,
    target: Model | None = None,
    **kwargs: Any,
) -> str:
    """Render the URL of a redirect that records a click.

    <a href="{% tracking_link 'https://shop.example/' entity=subscriber %}">Shop</a>

    Without a URL, it leads to the URL of ``target`` at the time of the click. For an entity that
    has not agreed (:mod:`tracking.recipient_consent`), it renders the URL itself.
    """
    if url and not _allows(entity, Kind.CLICK):
        clean_destination(str(url))  # a wrong one fails for everybody
        return str.__str__(str(url))  # escaped, even if it stands in the template
    return links.link_url(
        url, args, kwargs, source=source, entity=entity, target=target, request=_request(context)
    )


@register.simple_tag(takes_context=True)
def tracking_preferences_url(context: template.Context, recipient: Model | str, /) -> str:
    """Render the URL of the page on which a recipient says whether it may be tracked.

    <a href="{% tracking_preferences_url subscriber %}">Tracking in our mail</a>

    The recipient is a saved row, or an e-mail address.
    """
    # In templates an unknown name is "".
    return "" if recipient == "" else links.preferences_url(recipient, _request(context))


@register.simple_tag(takes_context=True)
def tracking_unsubscribe_url(
    context: template.Context, recipient: Model | str, /, source: Model | None = None
) -> str:
    """Render the URL of the page on which a recipient unsubscribes.

    <a href="{% tracking_unsubscribe_url subscriber %}">Unsubscribe</a>
    """
    if recipient == "":
        return ""
    return links.unsubscribe_url(recipient, source=source, request=_request(context))


def _allows(entity: object, kind: Kind) -> bool:
    """Return whether hits of an entity are recorded."""
    try:
        return not isinstance(entity, Model) or recipient_consent.allows(entity, kind)
    except (TypeError, ValueError):  # which a pixel or a link of it tells better
        return True


@register.simple_tag(takes_context=True)
def visitors_on_site(context: template.Context, /) -> int:
    """Return how many visitors are on the site, including the reader.

    {% visitors_on_site as visitors %}{{ visitors }} reader{{ visitors|pluralize }}
    """
    return _with_reader(_request(context), online_count.on_site)


@register.simple_tag(takes_context=True)
def visitors_on_page(context: template.Context, /) -> int | str:
    """Return how many visitors are on the current page, including the reader.

    {% visitors_on_page as same_page %}

    Without a request in the context, there is no current page: the result is 0, or with ``DEBUG``
    a sentence that says what is missing.
    """
    request = _request(context)
    if request is None:
        return _NO_REQUEST if settings.DEBUG else 0
    return _with_reader(request, lambda reader: online_count.on_page(request.path, reader))


_NO_REQUEST = (
    "visitors_on_page needs the request: add django.template.context_processors.request to the "
    "context processors, and render with a request."
)


def _with_reader(request: HttpRequest | None, count: Callable[[str | None], int]) -> int:
    """Return a count that includes the reader; errors are logged, so that no page fails.

    Args:
        request: the reader's request, if known.
        count: takes the key of the reader, whose page view is recorded after the response only.
    """
    number = 0
    info = RequestInfo.of(request) if request is not None else None
    with log_errors(logger, "Counting visitors"):
        number = count(None if info is None else info.visitor_so_far())
    return max(number, int(info is not None and info.tracks_visitors))


def _request(context: template.Context) -> HttpRequest | None:
    request = context.get("request")  # a site may use this name for something else
    return request if isinstance(request, HttpRequest) else None
