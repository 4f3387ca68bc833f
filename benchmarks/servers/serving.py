"""Start the servers, each with one worker and no logging."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

from benchmarks.servers.sites import Site

_APPLICATIONS = {
    "wsgi": "benchmarks.servers.site.wsgi:application",
    "asgi": "benchmarks.servers.site.asgi:application",
}
_RAW = {
    "wsgi": "benchmarks.servers.site.raw:wsgi",
    "asgi": "benchmarks.servers.site.raw:asgi",
}


class Server(NamedTuple):
    """A server and its options.

    Attributes:
        package: the package to install.
        interface: ``wsgi`` or ``asgi``.
        arguments: arguments of ``python -m``, with ``{port}`` and ``{application}``.
        about: the options in words, for the notes.
    """

    package: str
    interface: str
    arguments: tuple[str, ...]
    about: str


_GRANIAN = (
    *("granian", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
    *("--runtime-threads", "1", "--no-access-log", "--log-level", "warning"),
)

SERVERS = {
    "gunicorn": Server(
        "gunicorn",
        "wsgi",
        ("gunicorn", "--workers=1", "--bind=127.0.0.1:{port}", "{application}"),
        "worker class sync (the default), which opens a connection for each request",
    ),
    "gunicorn-gthread": Server(
        "gunicorn",
        "wsgi",
        (
            *("gunicorn", "--workers=1", "--worker-class=gthread", "--threads=4"),
            *("--keep-alive=5", "--bind=127.0.0.1:{port}", "{application}"),
        ),
        "worker class gthread with 4 threads, which keeps connections",
    ),
    "granian-wsgi": Server(
        "granian",
        "wsgi",
        (*_GRANIAN, "--interface", "wsgi", "--blocking-threads", "1", "{application}"),
        "one thread for the application",
    ),
    "granian-asgi": Server(
        "granian",
        "asgi",
        (*_GRANIAN, "--interface", "asgi", "--loop", "uvloop", "{application}"),
        "with uvloop",
    ),
    "uvicorn": Server(
        "uvicorn",
        "asgi",
        (
            *("uvicorn", "--host=127.0.0.1", "--port={port}", "--workers=1", "--loop=uvloop"),
            *("--http=httptools", "--lifespan=off", "--no-access-log", "--log-level=warning"),
            "{application}",
        ),
        "with uvloop and httptools",
    ),
}


class NotServed(Exception):
    """A server did not start. The message is the reason."""


class Served(NamedTuple):
    """A running site.

    Attributes:
        site: the site.
        port: the port of the server.
        process: the server.
        writer: the writer process beside it, if the variant has one.
    """

    site: Site
    port: int
    process: subprocess.Popen[bytes]
    writer: subprocess.Popen[bytes] | None = None


def is_installed(server: Server) -> bool:
    """Return whether the package of a server is installed."""
    return importlib.util.find_spec(server.package) is not None


@contextmanager
def serving(site: Site, server: Server, core: int | None) -> Iterator[Served]:
    """Serve a site until the block ends.

    Raises:
        NotServed: the server does not start.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = _RAW if site.variant.without_django else _APPLICATIONS
    words = {"port": port, "application": served[server.interface]}
    arguments = [argument.format(**words) for argument in server.arguments]
    with ExitStack() as stack:
        writer = None
        if site.variant.writer_process:
            command = [sys.executable, "-m", "django", "tracking_writer"]
            writer = stack.enter_context(_running(site, command, server.interface, None))
        command = [sys.executable, "-m", *arguments]
        process = stack.enter_context(_running(site, command, server.interface, core))
        _wait(site, process, port)
        yield Served(site, port, process, writer)


@contextmanager
def _running(
    site: Site, command: list[str], interface: str, core: int | None
) -> Iterator[subprocess.Popen[bytes]]:
    process = site.start(command, interface, core)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(site: Site, process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise NotServed(site.log().strip() or "it does not listen")


def cores() -> tuple[int | None, int | None]:
    """Return a processor for the server and one for the load, if there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)
