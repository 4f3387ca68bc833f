"""Pages and URLs within the Django admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return a page with the header and the sidebar of the admin.

    Args:
        request: the current request.
        site: the admin site.
        template: the template's name below ``admin/tracking/``, without its extension.
        context: the variables of the template.
    """
    return full_page(request, site, f"admin/tracking/{template}.html", **context)


def full_page(
    request: HttpRequest, site: admin.AdminSite, template_name: str, **context: Any
) -> TemplateResponse:
    """Do the same with a template that is named in full."""
    request.current_app = site.name
    return TemplateResponse(request, template_name, {**site.each_context(request), **context})


def admin_url(site: admin.AdminSite, name: str, *args: Any) -> str:
    """Return the URL of an admin page, or ``""`` if the site has none of that name.

    Args:
        site: the admin site.
        name: the name of the URL pattern, such as ``"tracking_beacon_changelist"``.
        args: the arguments of the URL pattern.
    """
    try:
        return reverse(f"{site.name}:{name}", args=args)
    except NoReverseMatch:
        return ""
