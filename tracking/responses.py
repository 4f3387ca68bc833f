"""The responses to pixels and links, the GIF and the redirect, and what all public views share.

Django's views and the edge (:mod:`tracking.edge`) send the same ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.db import connections, transaction
from django.http import HttpResponse, HttpResponseRedirect

from tracking import compat

#: One transparent pixel: the smallest GIF that every mail client draws, 43 bytes.
#: Header and 1 x 1 screen with a palette of two colours; graphic control extension
#: that makes the first transparent; one image of one pixel; trailer (GIF89a).
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

METHODS = ("GET", "HEAD")

View = TypeVar("View", bound=Callable[..., Any])


def public_view(view: View) -> View:
    """Mark a public view: no CSRF, no atomic requests.

    What is recorded stays recorded whatever the site's own code does, a database that is down
    stops no reader, and a POST is answered with 405 instead of a page about CSRF.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    view.csrf_exempt = True  # type: ignore[attr-defined]
    return view


class PlainResponse(NamedTuple):
    """A response before it takes the form that a server or Django wants.

    Attributes:
        status: the code and its phrase by RFC 9110.
        headers: names and values, in printable ASCII.
        body: the content.
    """

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def to_django(self) -> HttpResponse:
        """Return the response as a Django ``HttpResponse``."""
        headers = dict(self.headers)
        if "Location" in headers:
            return _Redirect(headers)
        return HttpResponse(self.body, status=int(self.status[:3]), headers=headers)


class _Redirect(HttpResponseRedirect):
    """A redirect for the site's own tests and middleware, which look for Django's class.

    Django's ``__init__`` would encode the location again, and refuse a long one.
    """

    def __init__(self, headers: dict[str, str]) -> None:
        HttpResponse.__init__(self, headers=headers)


_PIXEL = (
    ("Content-Type", "image/gif"),
    ("Content-Length", str(len(GIF))),
    # Each time a mail is opened, the pixel is requested again.
    ("Cache-Control", "no-store"),
    # Pages with "Cross-Origin-Embedder-Policy: require-corp" may load it.
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)

PIXEL = PlainResponse("200 OK", _PIXEL, GIF)

_DJANGO_PIXEL = PIXEL.to_django()


def django_pixel() -> HttpResponse:
    """Return the pixel as a Django ``HttpResponse``."""
    return compat.copy_response(_DJANGO_PIXEL)


#: The response to other methods than :data:`METHODS`.
PIXEL_NOT_ALLOWED = PlainResponse(
    "405 Method Not Allowed", (*_PIXEL, ("Allow", ", ".join(METHODS))), GIF
)


def redirect_to(location: str) -> PlainResponse:
    """Return a redirect.

    Args:
        location: what :func:`~tracking.destinations.clean_destination` returned. It is sent
            unchanged; Django's own class would encode it again.
    """
    return PlainResponse(
        "302 Found",
        (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Location", location),
            ("Cache-Control", "no-store"),
            # The destination must not learn where the reader comes from (often a webmail).
            ("Referrer-Policy", "no-referrer"),
        ),
        b"",
    )
