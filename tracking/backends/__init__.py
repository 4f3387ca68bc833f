"""How hits travel to :func:`tracking.recording.write`.

``TRACKING_BACKEND`` names the class by its dotted path; whoever has a hit asks here::

    from tracking.backends import get_backend

    get_backend().send(hit)
"""

import inspect
import threading

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tracking.backends.base import BaseBackend
from tracking.conf import conf, on_change

__all__ = ["BaseBackend", "get_backend"]


_instance: BaseBackend | None = None
_lock = threading.Lock()


def get_backend() -> BaseBackend:
    """Return the backend of the settings: one instance per process.

    Raises:
        django.core.exceptions.ImproperlyConfigured: ``TRACKING_BACKEND`` names no backend.
    """
    global _instance  # noqa: PLW0603 - reading the setting each time costs more than all else
    backend = _instance
    if backend is None:
        with _lock:
            if _instance is None:
                _instance = _made(conf.backend)
            backend = _instance
    return backend


def _made(path: str) -> BaseBackend:
    try:
        backend_class = import_string(path)
    except (ImportError, ValueError) as error:
        raise ImproperlyConfigured(f"TRACKING_BACKEND: {error}") from error
    if not (isinstance(backend_class, type) and issubclass(backend_class, BaseBackend)):
        raise ImproperlyConfigured(
            f"TRACKING_BACKEND: {path} is no subclass of tracking.backends.BaseBackend."
        )
    if inspect.isabstract(backend_class):
        raise ImproperlyConfigured(f"TRACKING_BACKEND: {path} does not define send().")
    return backend_class()


# A test that overrides the setting gets a backend of its own, without the hits of the last one.
@on_change("TRACKING_BACKEND", "TRACKING_SPOOL")
def _close() -> None:
    global _instance
    with _lock:
        old, _instance = _instance, None
    if old is not None:
        old.close()
