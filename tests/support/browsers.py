"""A real, headless browser, and what goes wrong in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import services

#: Without these, Chromium as root does not start, or keeps calling its makers.
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

#: Told of by the browser itself when a policy forbids what a page does.
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
    """Return a list that fills with what goes wrong on a page from now on.

    Errors, lines in the console, requests to elsewhere, answers that tell of a failure. What
    the Content-Security-Policy has forbidden is found by :func:`forbidden`.

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
    """Return the cookies of who keeps the example shop."""
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


def _is_of(url: str, site: str) -> bool:
    return url.startswith((site, "data:", "blob:"))


def forbidden(page: Any) -> list[str]:
    """Return what the Content-Security-Policy of a watched page has forbidden on it."""
    return page.evaluate("window.violations")


def hide(page: Any, *, hidden: bool = True) -> None:
    """Let a page believe that its tab is hidden, or that it is shown again."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
