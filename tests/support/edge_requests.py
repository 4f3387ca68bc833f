"""Requests for comparing a site with and without the edge in front of it.

``python -m tests.support.edge_requests`` sends them to both ASGI applications and prints the
outcomes as JSON: status, headers, body and recorded hits.
"""

import asyncio
import io
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

from django.core.handlers.asgi import ASGIHandler

from tracking import TrackingPixel, tracker
from tracking.edge import EdgeASGI
from tracking.hits import Reference
from tracking.identity import recent_heads

BANNED = "203.0.113.7"


class Request(NamedTuple):
    """One request of a client."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = {}
    address: str = "192.0.2.1"
    query: str = ""
    scheme: str = "http"


#: What mail programs add to the end of a URL.
ADDED = ("/", ".", ")", "%20", "/).")


def requests() -> dict[str, Request]:
    """Create the rows that the requests need, and return the requests by name."""
    from tracking import links, tokens  # apps are not ready when this is read
    from tracking.models import BannedIP, Source, Target, UntrackedUserAgent

    live = Target.objects.create(name="Tea", url="https://shop.example/tea")
    ended = Target.objects.create(
        name="Coffee",
        url="https://shop.example/coffee",
        expires_at=datetime(2020, 1, 1, tzinfo=UTC),
    )
    gone = Reference("tracking.target", "987654")
    letter = Source.objects.create(name="Letter", slug="letter")
    BannedIP.objects.create(network=BANNED)
    UntrackedUserAgent.objects.create(keyword="Uptime")
    pixel = links.pixel_url(
        ["one", 2],
        {"campaign": "Frühling", "day": datetime(2026, 5, 4)},
        source=letter,
    )
    plain = links.pixel_url()
    link = links.link_url(
        "https://shop.example/a?b=1&c=2|3#d", ["one"], {"args": "x"}, source=letter
    )
    token = pixel.rpartition("/")[2].removesuffix(".gif")
    old = datetime(2020, 1, 1, tzinfo=UTC)
    expired = tokens.dumps([], {}, salt=tokens.REDIRECT, url="https://a.example/", issued_at=old)
    beside = tokens.dumps([], {}, salt=tokens.REDIRECT, url="https://a.example/", target=gone)
    only_gone = tokens.dumps([], {}, salt=tokens.REDIRECT, target=gone)
    evil = tokens.dumps([], {}, salt=tokens.REDIRECT, url="javascript:alert(1)")
    letters = tokens.dumps([], {}, salt=tokens.REDIRECT, url="/größe?x=ü")
    found = {
        "pixel": Request(pixel),
        "pixel without arguments": Request(plain),
        "pixel with a query": Request(pixel, query="a=1&b=%00"),
        **{f"pixel and {added!r}": Request(pixel + added) for added in ADDED},
        **{f"link and {added!r}": Request(link + added) for added in ADDED},
        "pixel HEAD": Request(pixel, "HEAD"),
        "pixel POST": Request(pixel, "POST"),
        "pixel lower-case method": Request(pixel, "get"),
        "pixel unknown method": Request(pixel, "BREW"),
        "pixel forged": Request("/t/" + "A" * len(token) + ".gif"),
        "pixel cut off": Request(f"/t/{token[:-3]}.gif"),
        "pixel of a link": Request(f"{link}.gif"),
        "pixel without token": Request("/t/.gif"),
        "pixel of 8 kB": Request(f"/t/{'A' * 8000}.gif"),
        "pixel below": Request(f"/t/x/{token}.gif"),
        "pixel of a source": Request("/t/from/letter.gif"),
        "link": Request(link),
        "link HEAD": Request(link, "HEAD"),
        "link PUT": Request(link, "PUT"),
        "link forged": Request("/t/" + "A" * 60),
        "link of a pixel": Request(f"/t/{token}"),
        "link to a target": Request(links.link_url(target=live)),
        "link to a target that has ended": Request(links.link_url(target=ended)),
        "link to a target that is gone": Request(f"/t/{only_gone}"),
        "link beside a target that is gone": Request(f"/t/{beside}"),
        "link that is too old": Request(f"/t/{expired}"),
        "link to a script": Request(f"/t/{evil}"),
        "link of letters": Request(f"/t/{letters}"),
        "target by number": Request(f"/t/to/{live.pk}"),
        "feed": Request("/t/active"),
        "nothing": Request("/t/"),
        "not ASCII": Request("/t/gr%C3%B6%C3%9Fe.gif"),
        "not UTF-8": Request("/t/%ff%fe"),
        "NUL": Request("/t/%00"),
        "elsewhere": Request("/page/1"),
        "banned": Request(pixel, address=BANNED),
        "banned link": Request(link, address=BANNED),
        "no address": Request(pixel, address=""),
        "https": Request(pixel, scheme="https"),
    }
    headers = {
        "of a browser": {"User-Agent": "Mozilla/5.0 (X11)", "Referer": "https://mail.example/?q=ü"},
        "of Latin-1": {"User-Agent": "Gr\xf6\xdfe", "Referer": "\xff\xfe"},
        "of 8 kB": {"User-Agent": "x" * 8000, "Referer": "https://a.example/" + "y" * 8000},
        "prefetched": {"Sec-Purpose": "prefetch;prerender"},
        "previewed": {"X-Purpose": "preview"},
        "opted out": {"Sec-GPC": "1"},
        "not to be tracked": {"DNT": "1"},
        "untracked": {"User-Agent": "Uptime robot"},
        "with cookies": {"Cookie": "visitor=forged; sessionid=abc"},
        "of another host": {"Host": "elsewhere.example"},
        "forwarded": {"X-Forwarded-For": BANNED},
    }
    for name, values in headers.items():
        found[f"pixel {name}"] = Request(pixel, headers=values)
        found[f"link {name}"] = Request(link, headers=values)
    return found


class Outcome(NamedTuple):
    """The response to a request, and the hits that it recorded."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    hits: list[dict[str, Any]]


def recorded() -> list[dict[str, Any]]:
    """Return the recorded hits without their ids and times, and clear them."""
    from tracking.backends import get_backend

    backend = get_backend()
    hits = [hit.as_dict() for hit in backend.hits]
    backend.clear()
    return [{**hit, "id": "", "time": ""} for hit in hits]


def without_time(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers without the expiry times of cookies."""
    return [(name, re.sub("expires=[^;]*; ", "", value)) for name, value in headers]


def ask_wsgi(application: Any, request: Request) -> Outcome:
    """Send a request to a WSGI application, as PEP 3333 describes."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "REMOTE_ADDR": request.address,
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    for name, value in request.headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    setup_testing_defaults(environ)
    started: list[Any] = []
    response = application(environ, lambda *what: started.append(what))
    body = b"".join(response)
    getattr(response, "close", lambda: None)()
    [(status, headers)] = started
    return Outcome(status, without_time(headers), body, recorded())


async def ask_asgi(application: Any, request: Request) -> Outcome:
    """Send a request to an ASGI application."""
    raw = unquote_to_bytes(request.path)
    headers = {"Host": "127.0.0.1", **request.headers}
    scope = {
        "type": "http",
        "method": request.method,
        "path": raw.decode(errors="replace"),
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "scheme": request.scheme,
        "headers": [
            (k.lower().encode(), v.encode("latin-1", "replace")) for k, v in headers.items()
        ],
        "client": (request.address, 1) if request.address else None,
        "server": ("127.0.0.1", 80),
    }
    inbox = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, *parts = sent
    assert not parts[-1].get("more_body")
    decoded = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    body = b"".join(part.get("body", b"") for part in parts)
    return Outcome(str(start["status"]), without_time(decoded), body, recorded())


class Notebook(TrackingPixel):
    """A callback that builds an absolute URL."""

    seen: list[Any] = []

    def record(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Remember the request and its arguments."""
        self.seen.append((request.method, request.build_absolute_uri(), args, str(kwargs)))


def main() -> None:
    """Send all requests to both ASGI applications, and print the outcomes."""
    import django

    django.setup()
    asked = requests()
    if "--callback" in sys.argv:
        tracker.register(Notebook)
    applications = {"alone": ASGIHandler(), "edge": EdgeASGI(ASGIHandler())}
    results = {}
    for name, application in applications.items():
        results[name] = {
            what: asyncio.run(ask_asgi(application, request)) for what, request in asked.items()
        }
        results[name]["callbacks"] = list(Notebook.seen)
        Notebook.seen.clear()
        recent_heads._asked.clear()  # a HEAD marks later clicks
    print(json.dumps(results, default=repr))  # noqa: T201


if __name__ == "__main__":
    main()
