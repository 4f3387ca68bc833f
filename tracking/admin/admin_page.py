"""What all pages of ours have in common, within the header and the sidebar of the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return a page of the admin.

    Args:
        request: the request.
        site: the site of the admin.
        template: its name below ``admin/tracking/``, without ending.
        context: what it shows.
    """
    request.current_app = site.name
    return TemplateResponse(
        request, f"admin/tracking/{template}.html", {**site.each_context(request), **context}
    )
