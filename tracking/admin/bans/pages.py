"""What the pages beside the ban list share."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from tracking.admin import admin_page
from tracking.models import BannedIP


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return an admin page about bans.

    Args:
        request: the current request.
        site: the admin site.
        template: the template's name below ``bannedip/``, without its extension.
        context: the variables of the template.
    """
    return admin_page.page(request, site, f"bannedip/{template}", opts=BannedIP._meta, **context)


def back_to_list(request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> HttpResponse:
    """Return a redirect to the ban list, or to the index if the user may not view bans."""
    name = "tracking_bannedip_changelist" if model_admin.has_view_permission(request) else "index"
    return HttpResponseRedirect(reverse(f"{model_admin.admin_site.name}:{name}"))
