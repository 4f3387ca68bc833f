"""The pixel without Django and without recording: the best that a server can do."""

from typing import Any

from benchmarks.servers.answers import GIF

_HEADERS = [
    ("Content-Type", "image/gif"),
    ("Content-Length", str(len(GIF))),
    ("Cache-Control", "no-store"),
]
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _HEADERS]


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer a WSGI request."""
    start_response("200 OK", _HEADERS)
    return [GIF]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer an ASGI request."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _RAW_HEADERS})
        await send({"type": "http.response.body", "body": GIF})
