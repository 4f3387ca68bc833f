"""What the admin pages of visitors and visits share: the search, and columns."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns
from tracking.admin.permitted_values import VisitorDisplay
from tracking.admin.recorded_rows import RecordedRowsAdmin
from tracking.models import Visit
from tracking.reports.formatting import UNKNOWN


class BaseVisitorAdmin(RecordedRowsAdmin):
    """Rows about one browser: found by IP address or by user."""

    display_class = VisitorDisplay
    search_fields = ("id",)
    search_help_text = _("Search by IP address, or by the beginning of a user name.")

    #: Users whose rows a search returns.
    MAX_USERS_FOUND = 100

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Return the rows of users whose names begin with ``term``."""
        users = self.admin_site._registry.get(get_user_model())
        if users is None or not users.has_view_permission(request) or "\0" in term:
            return queryset.none()
        named = {f"{get_user_model().USERNAME_FIELD}__istartswith": term}
        keys = users.get_queryset(request).filter(**named).values_list("pk", flat=True)
        return queryset.filter(user_id__in=list(keys[: self.MAX_USERS_FOUND]))

    @admin.display(description=_("user"))
    def user_link(self, row: Any) -> str:
        """The logged-in user."""
        return self.display_class.of(row).user(row)

    @admin.display(description=_("came from"))
    def campaign_or_referrer(self, row: Any) -> str:
        """The campaign that the visit began with, or else the site that led to it."""
        visit = row if isinstance(row, Visit) else None
        return columns.campaign(row) or columns.came_from(row.referrer, visit) or UNKNOWN
