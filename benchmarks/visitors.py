"""The tracking middleware: the time it adds to a request."""

from collections.abc import Callable
from copy import copy
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory, override_settings

from benchmarks.measuring import Variant, compare, print_spread
from tracking.backends.base import BaseBackend
from tracking.caching import snapshots
from tracking.hits import AnyHit
from tracking.identity import visitor_cookie, visitor_key
from tracking.middleware import VisitorTrackingMiddleware


class DiscardBackend(BaseBackend):
    """Discards hits. The cost of backends is measured elsewhere."""

    def send(self, hit: AnyHit) -> None:
        """Discard the hit."""


AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
WITHIN = partial(override_settings, TRACKING_BACKEND=f"{__name__}.DiscardBackend")


def variant(answer: Callable[[HttpRequest], object], request: HttpRequest) -> Variant:
    """Return the variant that answers a request which nothing is known of yet."""
    return Variant(lambda: answer(copy(request)), WITHIN)


def main() -> None:
    """Measure and print."""
    snapshots.is_due = lambda: False  # type: ignore[assignment] - the poll, twice a second, is no part of a request
    response = HttpResponse("<p>")

    def get_response(request: object) -> HttpResponseBase:
        return response

    tracked = VisitorTrackingMiddleware(get_response)
    with WITHIN():
        cookie = visitor_cookie.sign("k" * visitor_key.KEY_LENGTH)
    factory = RequestFactory(HTTP_USER_AGENT=AGENT, HTTP_ACCEPT_LANGUAGE="de")
    known = factory.get("/tea/", HTTP_COOKIE=f"visitor={cookie}")
    from_afar = factory.get(
        "/tea/?utm_source=letter&utm_medium=email",
        HTTP_COOKIE=f"visitor={cookie}",
        HTTP_REFERER="https://search.example/?q=tea",
    )
    new = factory.get("/tea/")
    picture = factory.get("/tea/", HTTP_SEC_PURPOSE="prefetch")
    for request in (known, from_afar, new, picture):
        _ = request.COOKIES  # every site reads them
    rounds = compare(
        {
            "nothing": variant(get_response, known),
            "known": variant(tracked, known),
            "from afar": variant(tracked, from_afar),
            "new": variant(tracked, new),
            "uncounted": variant(tracked, picture),
        }
    )

    def added(name: str) -> list[float]:
        return [
            with_us - without
            for with_us, without in zip(rounds[name], rounds["nothing"], strict=True)
        ]

    print_spread("page of a known visitor", added("known"), "µs", "at most 30 µs")
    print_spread("  with referrer and campaign", added("from afar"), "µs", "")
    print_spread("  of a new one, with a cookie", added("new"), "µs", "")
    print_spread("a request that is not counted", added("uncounted"), "µs", "")
