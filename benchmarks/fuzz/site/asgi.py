"""The ASGI application, which marks its responses."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

_inner: Any = get_asgi_application()
if os.environ.get("FUZZ_EDGE"):
    from tracking.edge import EdgeASGI

    _inner = EdgeASGI(_inner)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, and add the mark to the headers."""

    async def marked(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], (b"x-answered-by", b"application")]
            message = {**message, "headers": headers}
        await send(message)

    await _inner(scope, receive, marked)
