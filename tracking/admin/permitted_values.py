"""What columns may show to the current user: addresses, users and related objects.

Django passes only the row to the method of a column, and not the request. So the list attaches
a display object to each of its rows, which knows the user's permissions and has fetched the
objects of the whole page.
"""

from collections.abc import Iterable
from typing import Any, Self

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext

from tracking import client_address
from tracking.admin.masking import may_view_full_addresses
from tracking.admin.related_objects import RelatedObjects
from tracking.hits import ROLES, Reference
from tracking.models import Beacon
from tracking.reports.formatting import UNKNOWN


class RowDisplay:
    """What the columns of some rows show to the current user.

    Args:
        rows: the rows of a page; their related objects are fetched together.
        request: the current request.
        site: the admin site, whose permissions apply.
    """

    def __init__(self, rows: Iterable[Any], request: HttpRequest, site: admin.AdminSite) -> None:
        self._site = site
        self._user = request.user
        self._full_addresses = may_view_full_addresses(request)
        references = (reference for row in rows for reference in self.references(row))
        self._objects = RelatedObjects(references, request, site)

    @classmethod
    def attach(cls, rows: list[Any], request: HttpRequest, site: admin.AdminSite) -> None:
        """Fetch what ``rows`` show, and attach the result to each of them."""
        display = cls(rows, request, site)
        for row in rows:
            row.display = display

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return the display that is attached to ``row``."""
        display: Self = row.display
        return display

    def references(self, row: Any) -> Iterable[Reference]:
        """Return the references of a row whose objects are shown."""
        raise NotImplementedError

    def may(self, permission: str) -> bool:
        """Return whether the user has a permission of this app."""
        return self._user.has_perm(f"tracking.{permission}")

    def address(self, row: Any) -> str:
        """Return the IP address, masked unless the user may view full addresses."""
        if row.ip_address is None:
            return UNKNOWN
        return row.ip_address if self._full_addresses else client_address.mask(row.ip_address)


class BeaconDisplay(RowDisplay):
    """What the columns of beacons show: source, entity, target, visitor and address."""

    def references(self, row: Beacon) -> Iterable[Reference]:
        """Return the references of source, entity and target."""
        return filter(None, (row.reference(role) for role in ROLES))

    def object(self, beacon: Beacon, role: str) -> str:
        """Return the name of an object, linked to its admin page if the user may open it."""
        reference = beacon.reference(role)
        if reference is None:
            return UNKNOWN
        name = self._objects.name(reference)
        if self._objects.is_deleted(reference):
            return format_html(
                '<span class="tracking-gone" title="{}">{}</span>',
                gettext("Deleted"),
                name,
            )
        if url := self._objects.url(reference):
            return format_html('<a href="{}">{}</a>', url, name)
        return name

    def name(self, beacon: Beacon, role: str) -> str:
        """Return the name of an object, or ``""`` if the beacon has none."""
        reference = beacon.reference(role)
        return "" if reference is None else self._objects.name(reference)

    def visitor(self, beacon: Beacon) -> str:
        """Return the visitor, linked to its admin page, for users who may view visitors."""
        if beacon.visitor is None or not self.may("view_visitor"):
            return UNKNOWN
        url = reverse(f"{self._site.name}:tracking_visitor_change", args=[beacon.visitor.pk])
        return format_html('<a href="{}">{}</a>', url, beacon.visitor)


class VisitorDisplay(RowDisplay):
    """What the columns of visitors and visits show: the logged-in user and the address."""

    def references(self, row: Any) -> Iterable[Reference]:
        """Return the reference of the logged-in user."""
        return [self._reference(row)] if row.user_id else []

    def user(self, row: Any) -> str:
        """Return the name of the user, linked to its admin page if it may be opened."""
        name, url = self.user_name(row), self.user_url(row)
        return format_html('<a href="{}">{}</a>', url, name) if url else name or UNKNOWN

    def user_name(self, row: Any) -> str:
        """Return the name of the user, or ``""`` if nobody is logged in."""
        return self._objects.name(self._reference(row)) if row.user_id else ""

    def user_url(self, row: Any) -> str | None:
        """Return the URL of the user's admin page, if it may be opened."""
        return self._objects.url(self._reference(row)) if row.user_id else None

    def _reference(self, row: Any) -> Reference:
        return Reference(get_user_model()._meta.label_lower, str(row.user_id))
