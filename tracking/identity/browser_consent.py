"""Whether the sender of a request may be tracked."""

import logging
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import NamedTuple

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from tracking.conf import conf, until_settings_change

logger = logging.getLogger(__name__)

#: Headers by which a browser asks not to be tracked: Tracking Preference Expression (DNT),
#: and Global Privacy Control, which succeeds it.
_OPT_OUT_HEADERS = ("HTTP_SEC_GPC", "HTTP_DNT")


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
    policy = _policy()
    if opts_out(request):
        return Consent.REFUSE
    if policy.ask is None:
        return Consent.TRACK
    try:
        answer = policy.ask(request)
    except Exception:
        logger.exception("TRACKING_CONSENT failed; %r is not tracked", request.path)
        return Consent.REFUSE
    return Consent.COUNT if answer is None else Consent(answer is True)


def asks() -> bool:
    """Return whether the site has a callable of its own, which may take its time."""
    return _policy().ask is not None


def opts_out(request: HttpRequest) -> bool:
    """Return whether the browser asks by a header not to be tracked, and the site obeys.

    Args:
        request: the request as Django hands it to a view or middleware.
    """
    if not _policy().respects_opt_out:
        return False
    return any(request.META.get(header) == "1" for header in _OPT_OUT_HEADERS)


class _Policy(NamedTuple):
    respects_opt_out: bool
    ask: Callable[[HttpRequest], object] | None


@until_settings_change
@cache
def _policy() -> _Policy:
    return _Policy(conf.respect_opt_out, _callable_of_the_site() if conf.consent else None)


def _callable_of_the_site() -> Callable[[HttpRequest], object]:
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
