"""The entries *Overview* and *Active visitors* in the index and the sidebar of the admin.

Django lists registered models there, sorted by name, and nothing else. So each page is registered
as a model. These models have an app registry of their own: the app has neither migration nor
content type nor permission of them.
"""

from typing import TYPE_CHECKING, Any

from django.apps.registry import Apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from tracking.admin.active_visitors import live_page
from tracking.admin.admin_page import admin_url
from tracking.admin.reports import overview, overview_viewer
from tracking.models import Visitor

if TYPE_CHECKING:  # Django's own class takes no type arguments when it runs
    from django.utils.functional import _StrPromise

    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


def _first(name: "_StrPromise", spaces: int) -> "_StrPromise":
    """Return ``name`` with spaces in front: it sorts before letters, and HTML does not show it."""
    return format_lazy("{}{}", " " * spaces, name)


class Overview(models.Model):  # noqa: DJ008 - it has no rows
    """The entry of the overview."""

    class Meta:
        apps = Apps()
        app_label = "tracking"
        managed = False
        default_permissions = ()
        verbose_name = verbose_name_plural = _first(_("Overview"), 2)


class ActiveVisitors(models.Model):  # noqa: DJ008 - it has no rows
    """The entry of the page of active visitors."""

    class Meta:
        apps = Apps()
        app_label = "tracking"
        managed = False
        default_permissions = ()
        verbose_name = verbose_name_plural = _first(_("Active visitors"), 1)


class EntryAdmin(_ModelAdmin):
    """An entry that leads to a page. The page is the "list" of its model."""

    #: The name of the page's URL: a site may not have the page.
    url_name: str

    def page(self, request: HttpRequest) -> HttpResponse:
        """Return the page."""
        raise NotImplementedError

    def may_see(self, request: HttpRequest) -> bool:
        """Return whether the user may see the page."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Return the URL of the page. There is nothing to add, change or delete."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self._view), name=name)]

    def _view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.page(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the entry is listed."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether this site has the page, and the user may see it."""
        return bool(admin_url(self.admin_site, self.url_name)) and self.may_see(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return ``False``: an entry has no rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``: an entry has no rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``: an entry has no rows."""
        return False


class OverviewEntryAdmin(EntryAdmin):
    """The entry of the overview."""

    url_name = "tracking_overview"

    def may_see(self, request: HttpRequest) -> bool:
        """Return whether the user may see any part of the overview."""
        return overview_viewer.may_see(request)

    def page(self, request: HttpRequest) -> HttpResponse:
        """Return the overview."""
        return overview.overview_page(self.admin_site, request)


class ActiveVisitorsEntryAdmin(EntryAdmin):
    """The entry of the page of active visitors."""

    url_name = "tracking_visitor_active"

    def may_see(self, request: HttpRequest) -> bool:
        """Return whether the user may view visitors."""
        return self._visitors().has_view_permission(request)

    def page(self, request: HttpRequest) -> HttpResponse:
        """Return the page of active visitors."""
        return live_page.page(self._visitors(), request)

    def _visitors(self) -> "admin.ModelAdmin[Any]":
        return self.admin_site._registry[Visitor]


def register(site: admin.AdminSite) -> None:
    """Register the entries on a site that has not got them yet."""
    entries = {Overview: OverviewEntryAdmin, ActiveVisitors: ActiveVisitorsEntryAdmin}
    for model, model_admin in entries.items():
        if not site.is_registered(model):
            site.register(model, model_admin)
