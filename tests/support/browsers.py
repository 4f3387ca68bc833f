"""Headless Chromium, and the errors of its pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import services

#: Chromium as root needs the first ones; the others keep it from connecting to its vendor.
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: The browser sends this event when a Content-Security-Policy blocks something.
_NOTE_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield the system's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=services.chromium(), args=CHROMIUM_ARGUMENTS
        )
        yield browser
        browser.close()


def watched(page: Any, site: str) -> list[str]:
    """Return a list that collects the errors of a page from now on.

    These are exceptions, lines in the console and requests to other sites. What the
    Content-Security-Policy has blocked is returned by :func:`forbidden`.

    Args:
        page: a page of Playwright.
        site: the beginning of all URLs that the page may ask for.
    """
    wrong: list[str] = []
    page.add_init_script(_NOTE_VIOLATIONS)
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: _is_of(request.url, site) or wrong.append(request.url))
    # Chromium asks for it by itself, once.
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    return wrong


def log_in(browser: Any, site: str) -> Any:
    """Return the cookies of the administrator of the example shop."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/admin/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    state = context.storage_state()
    context.close()
    return state


def lack_variables(page: Any) -> None:
    """Serve a page from now on as under a theme of the admin that lacks Django's variables."""
    page.route(
        re.compile(r"/admin/css/(base|dark_mode)\.css"),
        lambda route: route.fulfill(
            content_type="text/css", body="html { background: canvas; color: canvastext; }"
        ),
    )


def _is_of(url: str, site: str) -> bool:
    return url.startswith((site, "data:", "blob:"))


def forbidden(page: Any) -> list[str]:
    """Return what the Content-Security-Policy has blocked on a watched page."""
    return page.evaluate("window.violations")


def hide(page: Any, *, hidden: bool = True) -> None:
    """Tell a page that its tab is hidden, or visible again."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
