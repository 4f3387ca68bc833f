"""Write the hits that wait when an ASGI server shuts down.

Servers tell the application by the lifespan protocol, which Django does not know. Some, such as
uvicorn, end the process by a signal afterwards, so that no other code of the app would run.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asgiref.sync import sync_to_async

from tracking.backends import get_backend
from tracking.db.isolation import log_errors
from tracking.log_limits import get_logger

logger = get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]


async def follow(application: ASGI, scope: Message, receive: Receive, send: Send) -> None:
    """Let the application follow the protocol, and do so in its place if it does not.

    Args:
        application: the application behind the edge.
        scope: that of the lifespan.
        receive: receives the messages of the server.
        send: sends the answers.
    """
    has_begun = False

    async def receive_for_it() -> Message:
        nonlocal has_begun
        has_begun = True
        return await receive()

    async def write_and_send(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await _write_waiting()
        await send(message)

    try:
        await application(scope, receive_for_it, write_and_send)
    except Exception:
        if has_begun:
            raise
    if not has_begun:
        await _answer(receive, write_and_send)


async def _answer(receive: Receive, send: Send) -> None:
    for _ in ("lifespan.startup", "lifespan.shutdown"):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


async def _write_waiting() -> None:
    with log_errors(logger, "Writing hits at the end"):
        await sync_to_async(get_backend().close, thread_sensitive=False)()
