"""Answering pixels and links ahead of Django.

In ``wsgi.py``, or with :class:`EdgeASGI` in ``asgi.py``::

    from django.core.wsgi import get_wsgi_application
    from tracking.edge import EdgeWSGI

    application = EdgeWSGI(get_wsgi_application())

The URLs ``tracking:pixel`` and ``tracking:redirect`` are answered here, by the code of the
views, without Django's handler and the site's middlewares in between; of these, bans and
the tracking of visitors hold here too if the site has them. All other requests go to Django,
and so does whatever is not answered by a pixel or a redirect: forged tokens, other methods,
banned clients, links that lead nowhere. Django has the last word on them, and nothing was
recorded before it is asked.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]


class EdgeWSGI:
    """A WSGI application that answers pixels and links itself, and hands on all else."""

    def __init__(self, application: WSGI) -> None:
        """Stand ahead of an application.

        Args:
            application: what ``get_wsgi_application()`` has returned, wrapped or not.
        """
        # Whoever imports this module may make Django ready only after that.
        from tracking.edge.wsgi import Answering  # noqa: PLC0415

        self._application = application
        self._answer = Answering().answer

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        answer = self._answer(environ)
        if answer is None:
            return self._application(environ, start_response)
        start_response(answer.status, list(answer.headers))
        return [answer.body]


class EdgeASGI:
    """An ASGI application that answers pixels and links itself, and hands on all else."""

    def __init__(self, application: ASGI) -> None:
        """Stand ahead of an application.

        Args:
            application: what ``get_asgi_application()`` has returned, wrapped or not.
        """
        from tracking.edge.asgi import Answering  # noqa: PLC0415 - likewise

        self._application = application
        self._answer = Answering().answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI 3.0), or hand on whatever else the server has."""
        answer = await self._answer(scope) if scope["type"] == "http" else None
        if answer is None:
            await self._application(scope, receive, send)
            return
        headers = [
            (name.encode("ascii"), value.encode("latin-1")) for name, value in answer.headers
        ]
        await send(
            {"type": "http.response.start", "status": int(answer.status[:3]), "headers": headers}
        )
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
