"""URLs of report pages: the URL contains everything that a page shows."""

from collections.abc import Mapping

from django.utils.http import urlencode


class PageUrls:
    """URLs that differ from the current one in some parameters.

    Args:
        path: the path of the page.
        query: the parameters of the current URL.
    """

    def __init__(self, path: str, query: Mapping[str, str]) -> None:
        self.path = path
        self.query = dict(query)

    def to(self, changes: Mapping[str, str | None], *, path: str = "", at: str = "") -> str:
        """Return the URL with other parameters.

        Args:
            changes: parameters to replace, or to leave out if they are ``None``.
            path: the path of another page; by default the same page.
            at: the id of the element to scroll to.
        """
        changed = {**self.query, **changes}
        query = urlencode({name: value for name, value in changed.items() if value is not None})
        end = f"#{at}" if at else ""
        return f"{path or self.path}{f'?{query}' if query else ''}{end}"
