"""Make the backend that ``TRACKING_BACKEND`` names, once per process.

If it names none, :mod:`tracking.backends.automatic` chooses, and chooses again when the process
turns out to be a server.
"""

import inspect
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.utils.module_loading import import_string

from tracking import compat
from tracking.backends import automatic
from tracking.backends.base import BaseBackend
from tracking.conf import conf, on_change
from tracking.db.isolation import log_errors
from tracking.log_limits import get_logger

logger = get_logger(__name__)

_instance: BaseBackend | None = None
_lock = threading.Lock()

#: Whether this process has got a request from a server.
_is_serving = False


def get_backend() -> BaseBackend:
    """Return the backend of the settings: one instance per process, or two if it becomes a server.

    Raises:
        django.core.exceptions.ImproperlyConfigured: ``TRACKING_BACKEND`` names no backend.
    """
    global _instance  # noqa: PLW0603 - cached: reading the setting is the slowest part
    backend = _instance
    if backend is None:
        with _lock:
            if _instance is None:
                path = conf.backend or automatic.choose(is_serving=_is_serving)
                _instance = _make_backend(path)
            backend = _instance
    return backend


def _make_backend(path: str) -> BaseBackend:
    try:
        backend_class = import_string(path)
    except (ImportError, ValueError) as error:
        raise ImproperlyConfigured(f"TRACKING_BACKEND: {error}") from error
    if not (isinstance(backend_class, type) and issubclass(backend_class, BaseBackend)):
        raise ImproperlyConfigured(
            f"TRACKING_BACKEND: {path} is not a subclass of tracking.backends.BaseBackend."
        )
    if inspect.isabstract(backend_class):
        raise ImproperlyConfigured(f"TRACKING_BACKEND: {path} does not define send().")
    return backend_class()


def get_server_backend() -> BaseBackend:
    """Return the backend of the site's servers, which this process uses, too, from now on.

    Raises:
        django.core.exceptions.ImproperlyConfigured: ``TRACKING_BACKEND`` names no backend.
    """
    global _instance, _is_serving  # noqa: PLW0603 - see above
    with _lock:
        if not _is_serving and not compat.is_test_environment():
            _is_serving = True
            if not conf.backend:
                # Not closed: another thread may be using it, and may wait for the database.
                _instance = None
    return get_backend()


def note_server() -> None:
    """Note that this process serves requests, from the first one on."""
    if _is_serving or compat.is_test_environment():
        return
    request_started.disconnect(dispatch_uid=_NOTE)
    with log_errors(logger, "Choosing the backend"):
        backend = get_server_backend()
        if backend.spooler is backend:
            backend.wake_writer()  # the process before this one may have left hits


#: By what the signal knows the receiver.
_NOTE = "tracking.note_server"


def _note_request(sender: object, **_arguments: Any) -> None:
    # Servers use these handlers. The clients of tests, and who calls a view by hand, do not.
    if isinstance(sender, type) and issubclass(sender, WSGIHandler | ASGIHandler):
        note_server()


request_started.connect(_note_request, dispatch_uid=_NOTE)


# A test that overrides a setting gets a backend of its own, without the hits of the previous one.
@on_change("TRACKING_BACKEND", "TRACKING_SPOOL")
def _close() -> None:
    global _instance
    with _lock:
        old, _instance = _instance, None
    if old is not None:
        old.close()
