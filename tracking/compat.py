"""Private API of Python, Django and asgiref that the app cannot do without.

For each part there is a test in ``tests/test_compat.py`` that fails when a new release changes it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

#: The attribute by which a function is marked as a coroutine function, and its value.
COROUTINE_MARK: Mapping[str, Any] = vars(markcoroutinefunction(lambda: None))


def has_running_loop() -> bool:
    """Return whether an event loop runs in this thread; ``get_running_loop()`` raises if not."""
    return asyncio._get_running_loop() is not None


def loaded_user(request: HttpRequest) -> Any:
    """Return ``request.user`` if it has been loaded, else ``None``; it is never loaded for this."""
    user: Any = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:
        # Code may have used django.contrib.auth.get_user() or request.auser() instead.
        user = getattr(request, "_cached_user", None) or getattr(request, "_acached_user", None)
    return user


def keep_out_of_log(response: HttpResponse) -> None:
    """Keep Django from logging a response with status 4xx or 5xx."""
    response._has_been_logged = True  # type: ignore[attr-defined]


def has_thread(context: ThreadSensitiveContext) -> bool:
    """Return whether code has run in the thread of a context."""
    return context in SyncToAsync.context_to_thread_executor
