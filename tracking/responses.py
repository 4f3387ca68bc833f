"""What a reader is answered with: the pixel, and the way to where a link leads.

Made once, and sent by Django's views and ahead of Django (:mod:`tracking.edge`) alike.
"""

from typing import NamedTuple

from django.http import HttpResponse

#: One transparent pixel: the smallest GIF that every mail client draws, 43 bytes.
#: Header and 1 x 1 screen with a palette of two colours; graphic control extension
#: that makes the first transparent; one image of one pixel; trailer (GIF89a).
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

METHODS = ("GET", "HEAD")


class Answer(NamedTuple):
    """A response, before it is put into the form that a server or Django wants.

    Attributes:
        status: the code, and its phrase by RFC 9110.
        headers: names and values; ASCII, and nothing that could end a header.
        body: what follows them.
    """

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def as_response(self) -> HttpResponse:
        """Return the answer as a view returns it."""
        return HttpResponse(self.body, status=int(self.status[:3]), headers=dict(self.headers))


_PIXEL = (
    ("Content-Type", "image/gif"),
    ("Content-Length", str(len(GIF))),
    # Each look is a request of its own, also the second one.
    ("Cache-Control", "no-store"),
    # Pages that isolate themselves (COEP: require-corp) may load it all the same.
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)

PIXEL = Answer("200 OK", _PIXEL, GIF)

#: For other methods than these.
PIXEL_NOT_ALLOWED = Answer("405 Method Not Allowed", (*_PIXEL, ("Allow", ", ".join(METHODS))), GIF)


def found(location: str) -> Answer:
    """Return the redirect to a place.

    Args:
        location: what :func:`tracking.destinations.location` has returned. It is sent as it
            is; Django's own class would spell it anew.
    """
    return Answer(
        "302 Found",
        (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Location", location),
            ("Cache-Control", "no-store"),
            # Where the reader comes from (often a webmail) is not the destination's business.
            ("Referrer-Policy", "no-referrer"),
        ),
        b"",
    )
