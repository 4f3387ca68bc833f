"""The site's callable (``TRACKING_CONSENT``), which says whether a reader agrees to tracking."""

from collections.abc import Callable
from enum import Enum
from functools import cache

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from tracking.conf import conf, until_settings_change
from tracking.log_limits import get_logger

logger = get_logger(__name__)


class Consent(Enum):
    """How far a reader agrees to tracking."""

    TRACK = True  #: with a cookie, if the site sets any
    COUNT = None  #: without a cookie
    REFUSE = False  #: not at all


def ask(request: HttpRequest) -> Consent:
    """Return how far the reader agrees, as the site's callable says.

    Without a callable every reader agrees. If the callable fails, the reader has not agreed;
    the error is logged.

    Args:
        request: the request as Django hands it to a view or middleware.
    """
    function = _callable_of_the_site()
    if function is None:
        return Consent.TRACK
    try:
        answer = function(request)
    except Exception:
        logger.exception("TRACKING_CONSENT failed; %r is not tracked", request.path)
        return Consent.REFUSE
    return Consent.COUNT if answer is None else Consent(answer is True)


def load() -> Callable[[HttpRequest], object]:
    """Return the callable of ``TRACKING_CONSENT``, given itself or by its dotted path.

    Raises:
        ImportError: there is nothing of that name.
        TypeError: it is not callable, or a coroutine function.
    """
    function = import_string(conf.consent) if isinstance(conf.consent, str) else conf.consent
    if not callable(function) or iscoroutinefunction(function):
        raise TypeError(f"{function!r} is not a plain callable.")
    return function


@until_settings_change
@cache
def _callable_of_the_site() -> Callable[[HttpRequest], object] | None:
    if not conf.consent:
        return None
    try:
        return load()
    except (ImportError, TypeError):
        logger.exception("TRACKING_CONSENT cannot be loaded; no reader is tracked")
        return lambda _request: False
