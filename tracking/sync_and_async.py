"""Run one flow of code in threads and in event loops.

A flow is a coroutine function. It gets a :class:`Waiting`, and makes calls through it wherever the
database or code of the site may let it wait::

    async def record(hit, wait):
        if tracker.has_callbacks:
            await wait.call(tracker.notify, hit)
        await wait.send(get_backend(), hit)

    run(record(hit, IN_THREAD))      # in a thread: calls at once, and starts no event loop
    await record(hit, IN_LOOP)       # in an event loop: what may wait goes into a thread
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

from asgiref.sync import sync_to_async

P = ParamSpec("P")
T = TypeVar("T")


class Backend(Protocol):
    """What a hit is sent to (:class:`tracking.backends.BaseBackend`)."""

    def send_in_savepoints(self, hit: Any) -> None:
        """Take over a hit in a thread."""

    async def asend(self, hit: Any) -> None:
        """Take over a hit in an event loop."""


class Waiting(Protocol):
    """How a flow makes calls that may wait."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that may wait, and return its result."""

    async def send(self, backend: Backend, hit: Any) -> None:
        """Send a hit to a backend."""

    async def until(self, future: "concurrent.futures.Future[Any]", seconds: float) -> None:
        """Wait until something is done, or so many seconds have passed."""


class _InThread:
    """Waits in the calling thread."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    async def send(self, backend: Backend, hit: Any) -> None:
        backend.send_in_savepoints(hit)

    async def until(self, future: "concurrent.futures.Future[Any]", seconds: float) -> None:
        concurrent.futures.wait([future], timeout=seconds)


class _InLoop:
    """Waits in a thread of the event loop."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await sync_to_async(function)(*args, **kwargs)

    async def send(self, backend: Backend, hit: Any) -> None:
        await backend.asend(hit)

    async def until(self, future: "concurrent.futures.Future[Any]", seconds: float) -> None:
        await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)


#: Waits in the thread that runs the flow.
IN_THREAD: Waiting = _InThread()
#: Lets the event loop go on meanwhile.
IN_LOOP: Waiting = _InLoop()


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow that waits :data:`IN_THREAD`, and return what it returns.

    Raises:
        Exception: what the flow raises.
        RuntimeError: the flow waits for an event loop.
    """
    try:
        flow.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    flow.close()
    raise RuntimeError("This flow waits for an event loop: give it IN_THREAD.")
