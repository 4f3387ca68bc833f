"""django-user-tracking 0.4.11 on today's Django: what it imports and Django has dropped.

The package was last published for Django 1.x. Nothing of what it does to a request is changed:
names are put back where it looks for them, and its middleware, which is of the kind before
Django 1.10, is called as that was. Imported by the settings, before any app is.
"""

import sys
from types import ModuleType
from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin


def patch() -> None:
    """Put back what the package looks for."""
    # django.contrib.gis.utils.HAS_GEOIP went with Django 1.x; there is no place then.
    places = ModuleType("django.contrib.gis.utils")
    places.HAS_GEOIP = False  # type: ignore[attr-defined]
    sys.modules.setdefault("django.contrib.gis.utils", places)
    # Dropped in Django 4.0.
    translation.ugettext = translation.gettext  # type: ignore[attr-defined]
    translation.ugettext_lazy = translation.gettext_lazy  # type: ignore[attr-defined]
    HttpRequest.is_ajax = _is_ajax  # type: ignore[attr-defined]
    # Dropped in Django 1.9, and required since Django 2.0.
    models.IPAddressField = models.GenericIPAddressField  # type: ignore[attr-defined]
    models.ForeignKey.__init__ = _with_on_delete(models.ForeignKey.__init__)  # type: ignore[method-assign]


def _is_ajax(request: HttpRequest) -> bool:
    return request.META.get("HTTP_X_REQUESTED_WITH") == "XMLHttpRequest"


def _with_on_delete(init: Any) -> Any:
    def __init__(self: Any, to: Any, on_delete: Any = models.CASCADE, **options: Any) -> None:  # noqa: N807
        init(self, to, on_delete, **options)

    return __init__


class Middleware(MiddlewareMixin):
    """Calls the middleware of the package."""

    def __init__(self, get_response: Any) -> None:
        from tracking.middleware import VisitorTrackingMiddleware

        super().__init__(get_response)
        self._theirs = VisitorTrackingMiddleware()

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        return self._theirs.process_request(request)  # type: ignore[call-arg, arg-type]
