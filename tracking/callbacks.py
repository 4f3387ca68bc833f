"""The callbacks of the site: what it wants done whenever a pixel or link is used.

In a module ``pixels.py`` of any installed app::

    from tracking import TrackingPixel, tracker

    @tracker.register
    class CampaignPixel(TrackingPixel):
        def record(self, request, *args, **kwargs):
            log.info("campaign %s was opened", kwargs["campaign"])

The app finds these modules by itself when Django starts.
"""

import copy
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.http import HttpRequest

from tracking.db.isolation import log_errors_with_savepoints

logger = logging.getLogger(__name__)

#: Names that ``record`` already has. A keyword of the same name cannot be passed under it.
_TAKEN = ("self", "request")


class TrackingPixel:
    """A callback of the site. Subclass it, override ``record``, and register the class."""

    def record(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Take note of a pixel that was loaded or a link that was followed.

        It runs in the request, before the answer: leave long work to a task.

        Args:
            request: the request for the pixel or link.
            args: the positional arguments of the tag.
            kwargs: the keyword arguments of the tag, without ``source``, ``entity``
                and ``target``. One that is called ``request`` or ``self`` arrives
                with an underscore behind its name.
        """
        raise NotImplementedError(f"{type(self).__name__} must define record().")


PixelClass = TypeVar("PixelClass", bound=type[TrackingPixel])


class Tracker:
    """The registered callbacks, in no promised order."""

    def __init__(self) -> None:
        self._callbacks: dict[type[TrackingPixel], TrackingPixel] = {}

    def register(self, pixel_class: PixelClass) -> PixelClass:
        """Add a callback; registering a class again changes nothing.

        Args:
            pixel_class: a subclass of :class:`TrackingPixel`, made once, without arguments.

        Returns:
            The class, so that this can be used as a decorator.

        Raises:
            TypeError: it is no such class, or its ``record`` is a coroutine function.
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

        Raises:
            KeyError: the class is not registered.
        """
        del self._callbacks[pixel_class]

    @property
    def has_callbacks(self) -> bool:
        """Whether any class is registered."""
        return bool(self._callbacks)

    def notify(self, request: HttpRequest, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Call every callback. One that fails is logged by name, and the rest still run."""
        if not self._callbacks:
            return
        passed = rename_keys(kwargs, _TAKEN)
        # A callback may import a module that registers another one, and may change what it
        # is given: neither is to be felt by the others, nor by what is recorded.
        for pixel_class, callback in tuple(self._callbacks.items()):
            name = f"{pixel_class.__module__}.{pixel_class.__qualname__}"
            with log_errors_with_savepoints(logger, "Tracking callback %s", name):
                callback.record(request, *copy.deepcopy(args), **copy.deepcopy(passed))


def rename_keys(kwargs: Mapping[str, Any], taken: Sequence[str]) -> dict[str, Any]:
    """Return ``kwargs`` as a new dict in which no key is among ``taken``.

    A key that is gets an underscore behind it, as PEP 8 has it for reserved words, and
    another while that is in use too.
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
