"""The WSGI application. A file says that it is loaded: then the server answers at once."""

from pathlib import Path

from benchmarks.servers.site.wsgi import application

__all__ = ["application"]

Path("loaded").touch()
