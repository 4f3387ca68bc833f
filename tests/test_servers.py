"""Pixels and redirects over real sockets, from a WSGI and an ASGI server."""

import http.client
import socket
from contextlib import closing

import pytest

from tests.shop import Shop
from tracking.views import GIF

SERVERS = {
    "gunicorn": ("-m", "gunicorn", "--bind={address}", "example.wsgi"),
    "uvicorn": ("-m", "uvicorn", "--host=127.0.0.1", "--port={port}", "example.asgi:application"),
}


@pytest.fixture(scope="module", params=SERVERS)
def shop(request, tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("served"))
    shop.manage("demo", "--no-server")
    places = {"address": f"127.0.0.1:{shop.port}", "port": shop.port}
    with shop.served_by(*(part.format(**places) for part in SERVERS[request.param])):
        yield shop


def ask(shop, method, path, headers=None):
    with closing(http.client.HTTPConnection("127.0.0.1", shop.port, timeout=10)) as connection:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def ask_raw(shop, request):
    """Send bytes as they are, and return the status of the answer, or ``None`` for no answer."""
    with closing(socket.create_connection(("127.0.0.1", shop.port), timeout=10)) as connection:
        connection.sendall(request)
        answer = connection.recv(200)
    return int(answer.split()[1]) if answer else None


def paths_of(shop):
    """Return the paths of the pixel and of the first link of some message."""
    body = next(iter(shop.messages().values())).get_body(["html"]).get_content()
    pixel = body.partition(f'<img src="{shop.url}')[2].partition('"')[0]
    link = body.partition(f'<a href="{shop.url}')[2].partition('"')[0]
    return pixel, link


def test_a_pixel_and_a_link_are_answered_and_recorded(shop):
    pixel, link = paths_of(shop)
    before = len(shop.beacons())
    status, headers, body = ask(shop, "GET", pixel, {"User-Agent": "Größe".encode()})
    headers = {name.lower(): value for name, value in headers.items()}
    assert (status, body) == (200, GIF)
    assert (headers["content-type"], headers["content-length"]) == ("image/gif", "43")
    assert headers["cache-control"] == "no-store"
    assert not {"set-cookie", "vary"} & set(headers)
    status, headers, body = ask(shop, "GET", link)
    headers = {name.lower(): value for name, value in headers.items()}
    assert (status, body) == (302, b"")
    assert headers["location"] == "/products/first-flush-darjeeling/"
    assert [row[0] for row in shop.beacons()[before:]] == ["open", "click"]


def test_head_and_other_methods_are_answered_and_not_recorded(shop):
    pixel, link = paths_of(shop)
    before = len(shop.beacons())
    assert ask(shop, "HEAD", pixel)[0] == 200
    assert ask(shop, "HEAD", link)[0] == 302
    for method in ("POST", "PUT", "OPTIONS", "DELETE"):
        status, _, body = ask(shop, method, pixel)
        assert (status, body) == (405, GIF)
        assert ask(shop, method, link)[0] == 405
    assert len(shop.beacons()) == before


@pytest.mark.parametrize(
    "line",
    [
        b"GET /t/%s.gif HTTP/1.1" % (b"A" * 3900),
        b"GET /t/%s.gif HTTP/1.1" % (b"A" * 8192),
        b"GET /t/%s HTTP/1.1" % (b"A" * 8192),
        b"GET /t/%00%ff%fe.gif HTTP/1.1",
        b"GET /t/\xc3\x28.gif HTTP/1.1",
        b"GET /t/to/99999999999999999999 HTTP/1.1",
        b"GET /t/from/x.gif HTTP/1.1\r\nReferer: \xff\xfe\r\nUser-Agent: \xe4",
        b"GET /t/x.gif HTTP/1.1\r\nX-Forwarded-For: ',--\r\nDNT: \xff",
        b"GET /t/x.gif?%s HTTP/1.1" % (b"%zz&=" * 200),
        b"BREW /t/x.gif HTTP/1.1",
        b"TRACE /t/x HTTP/1.1",
    ],
)
def test_no_request_makes_a_5xx(shop, line):
    request = line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    status = ask_raw(shop, request)
    assert status is None or 200 <= status < 500  # servers hang up on what is no HTTP
