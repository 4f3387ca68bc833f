"""Make django-user-tracking 0.4.11 run on current Django.

The package was last published for Django 1.x. This module restores the names that it imports, and
calls its old-style middleware as Django did before 1.10. What it does to a request is unchanged.
The settings import it before any app.
"""

import sys
from types import ModuleType
from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin


def patch() -> None:
    """Restore the names that the package imports."""
    # django.contrib.gis.utils.HAS_GEOIP was removed after Django 1.x; then there are no places.
    places = ModuleType("django.contrib.gis.utils")
    places.HAS_GEOIP = False  # type: ignore[attr-defined]
    sys.modules.setdefault("django.contrib.gis.utils", places)
    # Removed in Django 4.0.
    translation.ugettext = translation.gettext  # type: ignore[attr-defined]
    translation.ugettext_lazy = translation.gettext_lazy  # type: ignore[attr-defined]
    HttpRequest.is_ajax = _is_ajax  # type: ignore[attr-defined]
    # Removed in Django 1.9; on_delete is required since Django 2.0.
    models.IPAddressField = models.GenericIPAddressField  # type: ignore[attr-defined]
    models.ForeignKey.__init__ = _with_on_delete(models.ForeignKey.__init__)  # type: ignore[method-assign]


def _is_ajax(request: HttpRequest) -> bool:
    return request.META.get("HTTP_X_REQUESTED_WITH") == "XMLHttpRequest"


def _with_on_delete(init: Any) -> Any:
    def __init__(self: Any, to: Any, on_delete: Any = models.CASCADE, **options: Any) -> None:  # noqa: N807
        init(self, to, on_delete, **options)

    return __init__


class Middleware(MiddlewareMixin):
    """Calls the old-style middleware of the package."""

    def __init__(self, get_response: Any) -> None:
        from tracking.middleware import VisitorTrackingMiddleware

        super().__init__(get_response)
        self._theirs = VisitorTrackingMiddleware()

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Call the middleware of the package."""
        return self._theirs.process_request(request)  # type: ignore[call-arg, arg-type]
