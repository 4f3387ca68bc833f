"""Whether the sender of a request may be tracked."""

import logging
from collections.abc import Callable
from enum import Enum
from functools import cache

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from tracking import exclusions
from tracking.conf import conf, until_settings_change

logger = logging.getLogger(__name__)


class Consent(Enum):
    """How far the sender of a request agrees."""

    TRACK = True  #: with a cookie, if the site sets any
    COUNT = None  #: without one
    REFUSE = False  #: not at all


def of(request: HttpRequest) -> Consent:
    """Return how far the sender of ``request`` agrees to be tracked.

    Whoever opts out by a header refuses, whatever the site's callable says. A callable
    that fails has not been told yes.

    Args:
        request: the request as Django hands it to a view or middleware.
    """
    if exclusions.opts_out(request):
        return Consent.REFUSE
    ask = _callable_of_the_site()
    if ask is None:
        return Consent.TRACK
    try:
        answer = ask(request)
    except Exception:
        logger.exception("TRACKING_CONSENT failed; %r is not tracked", request.path)
        return Consent.REFUSE
    return Consent.COUNT if answer is None else Consent(answer is True)


def asks() -> bool:
    """Return whether the site has a callable of its own, which may take its time."""
    return _callable_of_the_site() is not None


@until_settings_change
@cache
def _callable_of_the_site() -> Callable[[HttpRequest], object] | None:
    if not conf.consent:
        return None
    try:
        return loaded()
    except (ImportError, TypeError):
        logger.exception("TRACKING_CONSENT cannot be used; nobody is tracked")
        return lambda _request: False


def loaded() -> Callable[[HttpRequest], object]:
    """Return the callable of the site, whether it is named or there itself.

    Raises:
        ImportError: there is nothing of that name.
        TypeError: it cannot be called and answer.
    """
    ask = import_string(conf.consent) if isinstance(conf.consent, str) else conf.consent
    if not callable(ask) or iscoroutinefunction(ask):
        raise TypeError(f"{ask!r} is no callable that answers at once.")
    return ask
