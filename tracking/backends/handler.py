"""Make the backend that ``TRACKING_BACKEND`` names, once per process."""

import inspect
import threading

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tracking.backends.base import BaseBackend
from tracking.conf import conf, on_change

_instance: BaseBackend | None = None
_lock = threading.Lock()


def get_backend() -> BaseBackend:
    """Return the backend of the settings: one instance per process.

    Raises:
        django.core.exceptions.ImproperlyConfigured: ``TRACKING_BACKEND`` names no backend.
    """
    global _instance  # noqa: PLW0603 - cached: reading the setting is the slowest part
    backend = _instance
    if backend is None:
        with _lock:
            if _instance is None:
                _instance = _make_backend(conf.backend)
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


# A test that overrides a setting gets a backend of its own, without the hits of the previous one.
@on_change("TRACKING_BACKEND", "TRACKING_SPOOL")
def _close() -> None:
    global _instance
    with _lock:
        old, _instance = _instance, None
    if old is not None:
        old.close()
