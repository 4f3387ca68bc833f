"""The app behind real WSGI and ASGI servers."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.shop import Shop
from tracking.views import GIF

pytestmark = pytest.mark.slow


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
    status, headers, body = shop.ask("GET", pixel, {"User-Agent": "Größe".encode()})
    headers = {name.lower(): value for name, value in headers.items()}
    assert (status, body) == (200, GIF)
    assert (headers["content-type"], headers["content-length"]) == ("image/gif", "43")
    assert headers["cache-control"] == "no-store"
    assert not {"set-cookie", "vary"} & set(headers)
    status, headers, body = shop.ask("GET", link)
    headers = {name.lower(): value for name, value in headers.items()}
    assert (status, body) == (302, b"")
    assert "/products/first-flush-darjeeling/?utm_" in headers["location"]
    assert [row[0] for row in shop.beacons()[before:]] == ["open", "click"]


def test_head_and_other_methods_are_answered_and_not_recorded(shop):
    pixel, link = paths_of(shop)
    before = len(shop.beacons())
    assert shop.ask("HEAD", pixel)[0] == 200
    assert shop.ask("HEAD", link)[0] == 302
    for method in ("POST", "PUT", "OPTIONS", "DELETE"):
        status, _, body = shop.ask(method, pixel)
        assert (status, body) == (405, GIF)
        assert shop.ask(method, link)[0] == 405
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


# --- Visitors ----------------------------------------------------------------------------


def from_address(address, **headers):
    """Return the headers of a request that the proxy on this machine passes on."""
    browser = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
    return {"X-Forwarded-For": address, "User-Agent": browser, **headers}


def test_a_page_is_recorded_and_the_cookie_brings_its_visitor_back(shop):
    status, headers, _ = shop.ask("GET", "/", from_address("192.0.2.5"))
    assert status == 200
    headers = {name.lower(): value for name, value in headers.items()}
    cookie = headers["set-cookie"].partition(";")[0]
    # With the cookie it is the same one from wherever it comes.
    status, headers, _ = shop.ask(
        "GET", "/products/genmaicha/", from_address("203.0.113.5", Cookie=cookie)
    )
    assert status == 200
    headers = {name.lower(): value for name, value in headers.items()}
    assert not headers.get("set-cookie", "").startswith("visitor=")  # the form has another one
    key = cookie.partition("=")[2].partition(":")[0]
    assert shop.rows(
        "SELECT ip_address, city, browser, url, page_views FROM tracking_visitor WHERE key = ?", key
    ) == [("203.0.113.5", "Mexico City", "Firefox 143", "/products/genmaicha/", 2)]
    assert shop.rows(
        """
        SELECT page.url FROM tracking_pageview AS page
        JOIN tracking_visit AS visit ON visit.id = page.visit_id
        WHERE visit.visitor_id = ? ORDER BY page.time
        """,
        key,
    ) == [("/",), ("/products/genmaicha/",)]


def test_what_is_no_page_of_the_shop_is_not_recorded(shop):
    for path in ("/t/active", "/admin/login/", "/outbox/", "/live/", "/nowhere/"):
        shop.ask("GET", path, from_address("192.0.2.9"))
    shop.ask("GET", "/", from_address("192.0.2.9", DNT="1"))
    shop.ask("HEAD", "/", from_address("192.0.2.9"))
    assert shop.rows("SELECT * FROM tracking_visitor WHERE ip_address = '192.0.2.9'") == []


def test_the_feed_is_not_for_everybody(shop):
    status, headers, body = shop.ask("GET", "/t/active")
    assert status == 403
    assert b"users" not in body
    assert {name.lower(): value for name, value in headers.items()}["cache-control"] == "no-store"


# --- Bans --------------------------------------------------------------------------------

BANNED = "198.51.100.66"

#: Seconds after which a ban is in force in every process, and what a busy machine may add.
PROMISE, NOISE = 1.0, 1.0


def status_for(shop, address):
    return shop.ask("GET", "/", from_address(address))[0]


def becomes(is_true: Callable[[], bool], within: float) -> bool:
    """Return whether something comes true in so many seconds."""
    end = time.monotonic() + within
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_ban_by_another_process_is_in_force_within_a_second_and_so_is_its_end(shop):
    assert status_for(shop, BANNED) == 200
    shop.manage("tracking_ban", BANNED)
    assert becomes(lambda: status_for(shop, BANNED) == 403, PROMISE + NOISE)
    assert status_for(shop, "198.51.100.67") == 200
    pixel, link = paths_of(shop)
    for path in (pixel, link, "/admin/", "/static/shop/shop.css", "/nowhere/"):
        assert shop.ask("GET", path, from_address(BANNED))[0] == 403
    # Who is banned cannot become somebody else: of the header, what our proxy wrote counts.
    assert status_for(shop, f"192.0.2.1, {BANNED}") == 403
    shop.manage("tracking_ban", "--remove", BANNED)
    assert becomes(lambda: status_for(shop, BANNED) == 200, PROMISE + NOISE)


#: Makes gunicorn write down which worker has answered with what.
NOTES = """
def post_request(worker, req, environ, resp):
    note(worker.pid, resp.status.split()[0])

def note(*words):
    with open({path!r}, "a") as file:
        print(*words, file=file)
"""


class Workers:
    """A gunicorn that has loaded the site before it forks, as told by its notes."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.notes = folder / "notes"
        self.config = folder / "config.py"
        self.config.write_text(NOTES.format(path=str(self.notes)))

    def serve(self):
        return self.shop.served_by(
            *("-m", "gunicorn", "--preload", "--workers=2", f"--config={self.config}"),
            *(f"--bind=127.0.0.1:{self.shop.port}", "example.wsgi"),
        )

    def answering(self, status: int, *, but: frozenset[int] = frozenset()) -> set[int]:
        """Ask until two workers have answered, none of them ``but``; return those who said so."""
        self.notes.write_text("")

        def all_have() -> bool:
            with ThreadPoolExecutor(4) as executor:
                list(executor.map(status_for, [self.shop] * 4, [BANNED] * 4))
            return len(self._who("200", "403") - but) == 2

        assert becomes(all_have, 20)
        return self._who(str(status)) - but

    def _who(self, *words: str) -> set[int]:
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return {int(pid) for pid, word in lines if word in words}


def test_all_workers_hold_a_ban_whatever_becomes_of_them(tmp_path):
    shop = Shop(tmp_path)
    shop.manage("demo", "--no-server")
    workers = Workers(shop, tmp_path)
    with workers.serve() as master:
        first = workers.answering(200)
        assert len(first) == 2  # both have the list without the ban
        shop.manage("tracking_ban", BANNED)
        time.sleep(PROMISE)
        assert workers.answering(403) == first
        assert workers.answering(200) == set()

        master.send_signal(signal.SIGHUP)
        second = workers.answering(403, but=frozenset(first))
        assert len(second) == 2
        assert workers.answering(200) == set()

        killed = second.pop()
        os.kill(killed, signal.SIGKILL)
        third = workers.answering(403, but=frozenset({killed}))
        assert second < third
        assert workers.answering(200) == set()

        shop.manage("tracking_ban", "--remove", BANNED)
        time.sleep(PROMISE)
        assert workers.answering(200) == third
