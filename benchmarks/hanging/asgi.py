"""The ASGI application. A file says that it is loaded: then the server answers at once."""

from pathlib import Path

from benchmarks.servers.site.asgi import application

__all__ = ["application"]

Path("loaded").touch()
