"""What the admin pages of beacons, visitors and visits share."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tracking import client_address
from tracking.admin import columns
from tracking.admin.large_tables import LargeTableAdmin, LargeTableChangeList
from tracking.admin.masking import may_view_full_addresses
from tracking.admin.permitted_values import RowDisplay
from tracking.enrichment.referrers import spelled
from tracking.reports.formatting import UNKNOWN


class RecordedRowsChangeList(LargeTableChangeList):
    """Fetches the related objects of a page with one query per model."""

    model_admin: "RecordedRowsAdmin"

    def get_results(self, request: HttpRequest) -> None:
        """Fetch the rows, and attach their display."""
        super().get_results(request)
        admin_site = self.model_admin.admin_site
        self.model_admin.display_class.attach(self.result_list, request, admin_site)


class RecordedRowsAdmin(LargeTableAdmin):
    """Rows that the app records: they can be viewed and deleted, but not added or changed."""

    sortable_by = ()

    #: What the columns show to the current user.
    display_class: type[RowDisplay]

    #: Look-ups that a URL may filter by: those that have an index and reveal no address.
    LOOKUPS: frozenset[str]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return ``False``: rows are recorded, not added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``: recorded rows do not change."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list, which fetches related objects together."""
        return RecordedRowsChangeList

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return one row with its display."""
        row = super().get_object(request, *args, **kwargs)
        if row is not None:
            self.display_class.attach([row], request, self.admin_site)
        return row

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether a URL may filter by ``lookup``. Django would allow every column."""
        return lookup in self.LOOKUPS

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find rows by IP address, or else as :meth:`search` does."""
        term = search_term.strip()
        if not term:
            return queryset, False
        address = client_address.normalise(term)
        if not address:
            return self.search(request, queryset, term), False
        # By trying addresses, other users could find out the addresses that they see masked.
        if not may_view_full_addresses(request):
            return queryset.none(), False
        return queryset.filter(ip_address=address), False

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Return the rows that match ``term``, which is not an IP address.

        The text columns of recorded rows have no index, so they cannot be searched.
        """
        raise NotImplementedError

    # Columns.

    @admin.display(description=_("IP address"))
    def address(self, row: Any) -> str:
        """The IP address, masked unless the user may view full addresses."""
        return self.display_class.of(row).address(row)

    @admin.display(description=_("place"))
    def place(self, row: Any) -> str:
        """City and country."""
        return columns.place(row)

    @admin.display(description=_("place"))
    def place_and_address(self, row: Any) -> str:
        """City, country and IP address."""
        return columns.stacked(columns.place(row), columns.secondary(self.address(row)))

    @admin.display(description=_("referrer"))
    def referring_page(self, row: Any) -> SafeString:
        """The page that led here, as text rather than a link, without userinfo."""
        return columns.url_text(spelled(row.referrer) or UNKNOWN)

    @admin.display(description=_("device"))
    def agent(self, row: Any) -> str:
        """Browser, operating system and device."""
        return columns.agent(row)

    @admin.display(description=_("device"))
    def agent_and_verdict(self, row: Any) -> str:
        """Browser, operating system and device, with the verdict unless it is human."""
        return columns.stacked(columns.agent(row), columns.verdict_unless_human(row))

    @admin.display(description=_("verdict"))
    def verdict_with_reason(self, row: Any) -> SafeString:
        """The verdict and its reason."""
        return columns.verdict_with_reason(row)
