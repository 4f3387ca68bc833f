"""Accessibility errors of a page, found by axe-core.

assert axe.violations(page) == []
"""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

#: Impacts that no page may have.
GRAVE = frozenset({"serious", "critical"})

#: Parts of Django's admin, not of this app: its links look like text.
NOT_OURS = (".breadcrumbs",)


def violations(page: Any, impacts: frozenset[str] = GRAVE, *, within: str = "html") -> list[str]:
    """Return the errors of a page as it is now, a line of text each.

    Args:
        page: a page of Playwright.
        impacts: severities to report, of ``minor``, ``moderate``, ``serious``, ``critical``.
        within: a CSS selector of the part of the page to check.
    """
    context = {"include": [[within]], "exclude": [[part] for part in NOT_OURS]}
    found = Axe().run(page, context=context).response["violations"]
    return [
        f"{one['impact']}: {one['id']}: {node['target']}: {node['html']}"
        for one in found
        if one["impact"] in impacts
        for node in one["nodes"]
    ]
