"""Callbacks of the site, which run whenever a pixel is loaded or a link is followed.

In a module ``pixels.py`` of any installed app::

    from tracking import TrackingPixel, tracker

    @tracker.register
    class CampaignPixel(TrackingPixel):
        def record(self, request, *args, **kwargs):
            log.info("campaign %s was opened", kwargs["campaign"])

The app imports these modules when Django starts.
"""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.http import HttpRequest

from tracking.db.isolation import log_errors_with_savepoints
from tracking.log_limits import get_logger

logger = get_logger(__name__)

#: Parameters of ``record``. A keyword of the same name is passed under another name.
_TAKEN = ("self", "request")


class TrackingPixel:
    """A callback of the site. Subclass it, override ``record``, and register the class."""

    def record(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Handle a pixel that was loaded or a link that was followed.

        It runs in the request, before the response: put long work into a task.

        Args:
            request: the request for the pixel or link.
            args: the positional arguments of the tag.
            kwargs: the keyword arguments of the tag, without ``source``, ``entity`` and
                ``target``. ``request`` and ``self`` arrive as ``request_`` and ``self_``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define record().")


PixelClass = TypeVar("PixelClass", bound=type[TrackingPixel])


class Tracker:
    """The registry of callbacks. Their order is not defined."""

    def __init__(self) -> None:
        self._callbacks: dict[type[TrackingPixel], TrackingPixel] = {}

    def register(self, pixel_class: PixelClass) -> PixelClass:
        """Register a callback; a class that is registered already stays so.

        Args:
            pixel_class: a subclass of :class:`TrackingPixel`. One instance is made of it,
                without arguments.

        Returns:
            The class, so that this works as a decorator.

        Raises:
            TypeError: it is not such a class, or its ``record`` is a coroutine function.
        """
        if not (inspect.isclass(pixel_class) and issubclass(pixel_class, TrackingPixel)):
            raise TypeError(
                f"tracker.register() takes a subclass of TrackingPixel, not {pixel_class!r}."
            )
        if inspect.iscoroutinefunction(pixel_class.record):
            raise TypeError(
                f"{pixel_class.__name__}.record is a coroutine function and would never run; "
                "write it with a plain 'def'."
            )
        if pixel_class not in self._callbacks:
            self._callbacks[pixel_class] = pixel_class()
        return pixel_class

    def unregister(self, pixel_class: type[TrackingPixel]) -> None:
        """Remove a callback.

        Args:
            pixel_class: the class that was registered.

        Raises:
            KeyError: the class is not registered.
        """
        del self._callbacks[pixel_class]

    @property
    def has_callbacks(self) -> bool:
        """Whether any class is registered."""
        return bool(self._callbacks)

    def notify(self, request: HttpRequest, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Call every callback. An error is logged with the callback's name; the others still run.

        Args:
            request: the request for the pixel or link.
            args: the positional arguments of the tag.
            kwargs: the keyword arguments of the tag.
        """
        if not self._callbacks:
            return
        passed = rename_keys(kwargs, _TAKEN)
        # A callback may register another one, by an import, and may change its arguments. Neither
        # must reach the other callbacks or what is recorded.
        for pixel_class, callback in tuple(self._callbacks.items()):
            name = f"{pixel_class.__module__}.{pixel_class.__qualname__}"
            with log_errors_with_savepoints(logger, "Tracking callback %s", name):
                callback.record(request, *copy.deepcopy(args), **copy.deepcopy(passed))


def rename_keys(kwargs: Mapping[str, Any], taken: Sequence[str]) -> dict[str, Any]:
    """Return a copy of ``kwargs`` in which no key is among ``taken``.

    A taken key gets an underscore at its end, as PEP 8 recommends for reserved words, and more
    underscores if that key exists already.

    Args:
        kwargs: keyword arguments.
        taken: keys that must not be used.
    """
    result = {name: value for name, value in kwargs.items() if name not in taken}
    for name in taken:
        if name in kwargs:
            free = name + "_"
            while free in result:
                free += "_"
            result[free] = kwargs[name]
    return result


tracker = Tracker()
