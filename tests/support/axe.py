"""What axe-core finds wrong with a page, for readers who do not see it or use no mouse.

assert axe.violations(page) == []
"""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

#: Impacts that no page of ours may have.
GRAVE = frozenset({"serious", "critical"})

#: What Django's admin puts around our pages: its links look like text.
NOT_OURS = (".breadcrumbs",)


def violations(page: Any, impacts: frozenset[str] = GRAVE, *, within: str = "html") -> list[str]:
    """Return what is wrong with a page as it stands now, each as a line of text.

    Args:
        page: a page of Playwright.
        impacts: how grave it is: ``"minor"``, ``"moderate"``, ``"serious"``, ``"critical"``.
        within: a CSS selector, to look at a part of the page only.
    """
    context = {"include": [[within]], "exclude": [[part] for part in NOT_OURS]}
    found = Axe().run(page, context=context).response["violations"]
    return [
        f"{one['impact']}: {one['id']}: {node['target']}: {node['html']}"
        for one in found
        if one["impact"] in impacts
        for node in one["nodes"]
    ]
