"""Where the links of a report lead: all that a page shows is in its URL."""

from collections.abc import Mapping

from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode


class PageUrls:
    """The URLs of pages that show the same as this one, but for something.

    Args:
        path: that of the page.
        query: the parameters that ask for what it shows.
    """

    def __init__(self, path: str, query: Mapping[str, str]) -> None:
        self.path = path
        self.query = dict(query)

    def to(self, changes: Mapping[str, str | None], *, path: str = "", at: str = "") -> str:
        """Return the URL of a page that differs.

        Args:
            changes: parameters that are other, or not there if they are ``None``.
            path: that of the page; by default the same.
            at: the id of the element to go to.
        """
        changed = {**self.query, **changes}
        query = urlencode({name: value for name, value in changed.items() if value is not None})
        end = f"#{at}" if at else ""
        return f"{path or self.path}{f'?{query}' if query else ''}{end}"


def admin_url(site: admin.AdminSite, name: str, *args: str) -> str:
    """Return the path of a page of the admin, or ``""`` where the site has none."""
    try:
        return reverse(f"{site.name}:{name}", args=args)
    except NoReverseMatch:
        return ""
