"""The WSGI application, which marks its responses."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

_inner = get_wsgi_application()
if os.environ.get("FUZZ_EDGE"):
    from tracking.edge import EdgeWSGI

    _inner = EdgeWSGI(_inner)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a request, and add the mark to the headers."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        return start_response(status, [*headers, ("X-Answered-By", "application")], *exc_info)

    return _inner(environ, start)
