"""The applications that a site puts around Django's. See :mod:`tracking.edge`."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]


@lru_cache(maxsize=50)
def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    return name.encode("ascii"), value.encode("latin-1")


class EdgeWSGI:
    """A WSGI application that answers pixels and links, and passes on all other requests."""

    def __init__(self, application: WSGI) -> None:
        """Wrap an application.

        Args:
            application: what ``get_wsgi_application()`` returned, wrapped or not.
        """
        # A site may set Django up after it has imported this module.
        from tracking.edge.wsgi import Responder  # noqa: PLC0415

        self._application = application
        self._respond = Responder().respond

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        response = self._respond(environ)
        if response is None:
            return self._application(environ, start_response)
        start_response(response.status, list(response.headers))
        return [response.body]


class EdgeASGI:
    """An ASGI application that answers pixels and links, and passes on all other requests."""

    def __init__(self, application: ASGI) -> None:
        """Wrap an application.

        Args:
            application: what ``get_asgi_application()`` returned, wrapped or not.
        """
        from tracking.edge import lifespan  # noqa: PLC0415 - likewise
        from tracking.edge.asgi import Responder  # noqa: PLC0415

        self._application = application
        self._respond = Responder().respond
        self._follow_lifespan = lifespan.follow

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass on another kind of connection (ASGI 3.0)."""
        if scope["type"] == "lifespan":
            await self._follow_lifespan(self._application, scope, receive, send)
            return
        response = await self._respond(scope) if scope["type"] == "http" else None
        if response is None:
            await self._application(scope, receive, send)
            return
        headers = [*map(_encode, response.headers)]
        await send(
            {"type": "http.response.start", "status": int(response.status[:3]), "headers": headers}
        )
        await send({"type": "http.response.body", "body": response.body, "more_body": False})
