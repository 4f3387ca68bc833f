"""The URLs of the pages beside the ban list."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from tracking.admin.bans import confirmation, import_export_pages


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the URL patterns of the confirmation, the import and the export of bans."""
    wrap = model_admin.admin_site.admin_view
    views = {
        "confirm": confirmation.confirmation_view,
        "import": import_export_pages.import_view,
        "export": import_export_pages.export_view,
    }
    return [
        path(f"{name}/", wrap(partial(view, model_admin)), name=f"tracking_bannedip_{name}")
        for name, view in views.items()
    ]
