"""The requests of many readers, each with its own token or cookies."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from django.test import override_settings

from benchmarks.servers.answers import SECRET
from tracking import tokens
from tracking.identity import visitor_cookie, visitor_key

#: Number of mails that are opened, so that no cache profits from a single token.
READERS = 2_000

#: Number of browsers that request pages.
VISITORS = 500

AGENTS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for version in range(110, 150)
]

Request = dict[str, Any]


def write(folder: Path) -> None:
    """Write a file of requests for each kind."""
    with override_settings(TRACKING_SECRET_KEYS=[SECRET]):
        made = [tokens.dumps(*_said(number), salt=tokens.PIXEL) for number in range(READERS)]
        cookies = [visitor_cookie.sign(_key(number)) for number in range(VISITORS)]
    _save(folder, "pixel", [_image(f"/t/{token}.gif", n) for n, token in enumerate(made)])
    if importlib.util.find_spec("nacl"):
        theirs = [_image(f"/t/{token}/", number) for number, token in enumerate(_of_ptrack())]
        _save(folder, "ptrack", theirs)
    for kind, path in (("page", "/tea/"), ("account", "/account/")):
        _save(folder, kind, [_page(path, n, cookie) for n, cookie in enumerate(cookies)])


def session_key(number: int) -> str:
    """Return the session key of a visitor."""
    return f"{number:032}"


def _said(number: int) -> tuple[list[Any], dict[str, Any]]:
    return [number], {"campaign": "spring-sale", "user": 900_000 + number}


def _key(number: int) -> str:
    return f"{number:0{visitor_key.KEY_LENGTH}}"


def _of_ptrack() -> list[str]:
    from benchmarks.tokens import ptrack_dumps

    return [ptrack_dumps(*args, **kwargs) for args, kwargs in map(_said, range(READERS))]


def _image(path: str, number: int) -> Request:
    headers = {
        "User-Agent": AGENTS[number % len(AGENTS)],
        "Accept": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        "Accept-Language": "de,en-US;q=0.7,en;q=0.3",
        "Accept-Encoding": "gzip, deflate",
        "Referer": "https://webmail.example/",
    }
    return {"path": path, "headers": headers}


def _page(path: str, number: int, cookie: str) -> Request:
    # Three of four follow a link on the site.
    came_from = "http://127.0.0.1:{port}/" if number % 4 else "https://search.example/?q=tea"
    headers = {
        "User-Agent": AGENTS[number % len(AGENTS)],
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language": "de,en-US;q=0.7,en;q=0.3",
        "Accept-Encoding": "gzip, deflate",
        "Referer": came_from,
        "Cookie": f"sessionid={session_key(number)}; visitor={cookie}",
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-Mode": "navigate",
    }
    return {"path": path, "headers": headers}


def _save(folder: Path, kind: str, requests: list[Request]) -> None:
    (folder / f"{kind}.json").write_text(json.dumps(requests))
