"""Who sees the overview, and which parts of it."""

from collections.abc import Iterator, Mapping

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext

#: The figures by the permission they need. The total of a unique figure is shown beside it.
FIGURES: Mapping[str, Mapping[str, str]] = {
    "view_visitor": {
        "visitors": "", "visits": "", "page_views": "", "bounce_rate": "", "visit_length": "",
    },
    "view_beacon": {"daily_unique_opens": "opens", "daily_unique_clicks": "clicks"},
}  # fmt: skip

#: Lists about beacons. All others are about visits.
BEACON_LISTS = frozenset({"mailings", "links"})


def may_see(request: HttpRequest) -> bool:
    """Return whether the user may see any part of the overview."""
    return bool(_permissions(request))


def _permissions(request: HttpRequest) -> list[str]:
    """Return the permissions to see parts of the overview that the user has."""
    return [name for name in FIGURES if request.user.has_perm(f"tracking.{name}")]


class Viewer:
    """The current user, and the parts of the overview they may see."""

    def __init__(self, request: HttpRequest, site: admin.AdminSite) -> None:
        self.request = request
        self.site = site
        self._held = _permissions(request)
        if not self._held:
            raise PermissionDenied

    @property
    def sees_visitors(self) -> bool:
        """Whether visits are shown."""
        return "view_visitor" in self._held

    @property
    def sees_beacons(self) -> bool:
        """Whether opens and clicks are shown."""
        return "view_beacon" in self._held

    def figures(self) -> dict[str, str]:
        """Return the names of the figures, each with that of its total or ``""``."""
        return {name: total for held in self._held for name, total in FIGURES[held].items()}

    def may_see(self, name: str) -> bool:
        """Return whether the user may see a list."""
        return self.sees_beacons if name in BEACON_LISTS else self.sees_visitors

    def notes(self) -> Iterator[str]:
        """Yield sentences about what is hidden, and why."""
        if not self.sees_visitors:
            yield gettext("Visits are hidden: you have no permission to view visitors.")
        if not self.sees_beacons:
            yield gettext("Opens and clicks are hidden: you have no permission to view beacons.")
