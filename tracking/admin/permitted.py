"""What rows show to whoever is looking."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.html import format_html

from tracking import client_address
from tracking.admin.large_tables import UNKNOWN
from tracking.admin.masking import may_see_whole
from tracking.admin.related_objects import Rows
from tracking.hits import Reference


class Shown:
    """What rows show to whoever is looking: addresses, and who is logged in.

    The methods for columns are not told who that is, so it travels with the rows.
    """

    def __init__(self, rows: Iterable[Any], request: HttpRequest, site: admin.AdminSite) -> None:
        self._label = get_user_model()._meta.label_lower
        self._users = Rows((self._reference(row) for row in rows if row.user_id), request, site)
        self._whole = may_see_whole(request)
        self._viewer = request.user

    @classmethod
    def attach(cls, rows: list[Any], request: HttpRequest, site: admin.AdminSite) -> None:
        """Look up all users of ``rows`` at once, and leave the result with each."""
        shown = cls(rows, request, site)
        for row in rows:
            row.shown = shown

    def user(self, row: Any) -> str:
        """Return the name of the user, linked to its page if there is one to be seen."""
        name, url = self.user_name(row), self.user_url(row)
        return format_html('<a href="{}">{}</a>', url, name) if url else name or UNKNOWN

    def user_name(self, row: Any) -> str:
        """Return the name of the user, or ``""`` where nobody is logged in."""
        return self._users.name(self._reference(row)) if row.user_id else ""

    def user_url(self, row: Any) -> str | None:
        """Return the page of the user, if there is one to be seen."""
        return self._users.url(self._reference(row)) if row.user_id else None

    def address(self, row: Any) -> str:
        """Return the address, masked for who may not see it whole."""
        if row.ip_address is None:
            return UNKNOWN
        return row.ip_address if self._whole else client_address.mask(row.ip_address)

    def may(self, permission: str) -> bool:
        """Return whether whoever is looking holds a permission of this app."""
        return self._viewer.has_perm(f"tracking.{permission}")

    def _reference(self, row: Any) -> Reference:
        return Reference(self._label, str(row.user_id))
