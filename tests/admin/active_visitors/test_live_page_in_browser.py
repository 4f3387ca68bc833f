"""The page of active visitors in a browser."""

import re
import time

import pytest

from tests.support import axe, browsers
from tests.support.shop import BOT, FIREFOX, Shop

pytestmark = pytest.mark.browser

PAGE = "/admin/tracking/visitor/active/"
NASTY = (
    """<img src="https://evil.example/x.png" onerror="document.title='pwned'"><script>x</script>"""
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.manage("demo", "--no-server")
    with shop.served_by("manage.py", "runserver", "--noreload", f"127.0.0.1:{shop.port}"):
        yield shop


@pytest.fixture(scope="module")
def session(shop, browser):
    """The cookies of who keeps the shop."""
    return browsers.log_in(browser, shop.url)


@pytest.fixture
def empty(shop):
    """Nobody is there."""
    for table in ("pageview", "visit", "visitor"):
        shop.change(f"DELETE FROM tracking_{table}")


@pytest.fixture(params=["light"])
def page(request, shop, browser, session, empty):
    """The page in front of who keeps the shop; what goes wrong on it fails the test."""
    context = browser.new_context(
        color_scheme=request.param,
        storage_state=session,
        user_agent=FIREFOX,
        viewport={"width": 1440, "height": 900},
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong = browsers.watched(page, shop.url)
    page.clock.install()
    yield page
    assert wrong == []
    context.close()


both = pytest.mark.parametrize("page", ["light", "dark"], indirect=True)


def until(is_true):
    """Wait for what takes a moment, in other processes or in the page.

    The browser's own waiting (``wait_for_function``) is no use here: it compiles text again and
    again inside the page, which the policy forbids unless the first time is in luck.
    """
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def look(page, shop, query=""):
    """Open the page, and see that it is served with the policy that it is to obey."""
    response = page.goto(f"{shop.url}{PAGE}{query}")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    page.get_by_text("Updated").wait_for()


def wait(page):
    """Let the five seconds pass after which the page is brought up to date."""
    with page.expect_response("**/active/now/**"):
        page.clock.fast_forward(5_000)


def rows(page):
    return page.locator(".tracking-visitors > li")


def dots(page):
    return page.locator(".tracking-dot")


def panel(page):
    return page.get_by_role("dialog")


def leave(shop, address):
    """Let a visitor have been gone for a while."""
    shop.change(
        "UPDATE tracking_visitor SET last_update = '2020-01-01 00:00:00' WHERE ip_address = ?",
        address,
    )


def test_visitors_come_and_go_without_a_reload(page, shop):
    look(page, shop)
    page.get_by_text("Nobody is on the site.").wait_for()
    page.evaluate("window.isTheSame = true")
    shop.visit("203.0.113.145", "/products/genmaicha/", Referer="https://tea.example/?a=<b>")
    shop.visit("203.0.113.177")
    shop.visit("2001:db8:1b00::7", user_agent=BOT)
    wait(page)
    nairobi = rows(page).filter(has_text="Nairobi, Kenya")
    nairobi.wait_for()
    text = nairobi.inner_text()
    for part in ("/products/genmaicha/", "1 page", "from tea.example", "Firefox 143", "Desktop"):
        assert part in text
    assert rows(page).count() == 3
    assert "2 on the site now plus 1 machine" in page.locator(".tracking-total").inner_text()
    assert rows(page).filter(has_text="Googlebot").get_by_text("Bot", exact=True).is_visible()
    assert dots(page).count() == 3
    # Who was there stays the same row, with what is selected and focused in it.
    nairobi.get_by_role("link").focus()
    leave(shop, "203.0.113.177")
    shop.visit("203.0.113.193")
    wait(page)
    rows(page).filter(has_text="Buenos Aires").wait_for(state="detached")
    assert rows(page).first.inner_text().startswith("Singapore")
    assert nairobi.get_by_role("link").evaluate("link => link === document.activeElement")
    assert page.evaluate("window.isTheSame")
    assert browsers.forbidden(page) == []


def test_new_rows_slide_in_once_and_not_where_motion_is_reduced(page, shop):
    animation = "row => getComputedStyle(row).animationName"
    shop.visit("203.0.113.145")
    look(page, shop)
    assert rows(page).first.evaluate(animation) == "none"  # was there from the start
    shop.visit("203.0.113.177")
    wait(page)
    new = rows(page).filter(has_text="Buenos Aires")
    new.wait_for()
    assert new.evaluate(animation) == "tracking-arrive"
    page.emulate_media(reduced_motion="reduce")
    assert new.evaluate(animation) == "none"
    page.emulate_media(reduced_motion="no-preference")
    wait(page)
    new.and_(page.locator(":not(.tracking-new)")).wait_for()


def test_a_place_opens_its_list_and_its_url_is_kept(page, shop):
    shop.visit("203.0.113.145")
    shop.visit("203.0.113.177")
    look(page, shop)
    dots(page).and_(page.get_by_role("button", name="Nairobi, Kenya: 1 visitor")).click()
    page.get_by_role("heading", name="Visitors in Nairobi, Kenya").wait_for()
    until(lambda: rows(page).count() == 1)
    assert "place=" in page.url
    page.reload()
    page.get_by_role("heading", name="Visitors in Nairobi, Kenya").wait_for()
    assert rows(page).count() == 1
    page.go_back()
    page.get_by_role("heading", name="Latest visitors").wait_for()
    page.get_by_role("table").get_by_role("link", name="Buenos Aires").click()
    page.get_by_role("heading", name="Visitors in Buenos Aires, Argentina").wait_for()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("heading", name="Latest visitors").wait_for()
    until(lambda: rows(page).count() == 2)


def test_a_dot_has_the_area_of_its_visitors_and_a_ring_for_who_has_just_come(page, shop):
    for number in range(4):
        shop.visit("203.0.113.145", user_agent=f"{FIREFOX} {number}")
    shop.visit("203.0.113.177")
    look(page, shop)
    sizes = {
        dot.get_attribute("aria-label"): dot.locator(".tracking-dot-area").bounding_box()["width"]
        for dot in dots(page).all()
    }
    assert sizes["Nairobi, Kenya: 4 visitors"] == 2 * sizes["Buenos Aires, Argentina: 1 visitor"]
    opacity = "ring => Number(ring.style.opacity)"
    rings = page.locator(".tracking-ring")
    assert all(0.5 < ring.evaluate(opacity) <= 1 for ring in rings.all())
    shop.change("UPDATE tracking_visitor SET session_start = '2020-01-01 00:00:00'")
    wait(page)
    shown = "rings => rings.filter(ring => ring.style.opacity !== '0').length"
    until(lambda: rings.evaluate_all(shown) == 0)


def test_a_visitor_opens_and_is_banned(page, shop):
    shop.visit("203.0.113.145", "/products/genmaicha/?utm_source=letter&utm_medium=email")
    shop.visit("203.0.113.145", "/products/mountain-mint/")
    shop.visit("203.0.113.146")
    look(page, shop)
    rows(page).filter(has_text="2 pages").get_by_role("link").click()
    panel(page).get_by_text("203.0.113.145").first.wait_for()
    text = panel(page).inner_text()
    assert text.index("/products/mountain-mint/") < text.index("/products/genmaicha/")
    assert "letter / email" in text
    assert "Affects 1 current visitor" in text
    assert "Affects 2 current visitors" in text
    assert "visitor=" in page.url
    page.reload()
    panel(page).get_by_text("203.0.113.145").first.wait_for()
    panel(page).get_by_role("link", name="Ban this address").click()
    page.get_by_text("Will be banned").wait_for()
    page.get_by_role("button", name="Ban").click()
    page.get_by_text("Banned 1 network.").wait_for()
    until(lambda: status_of(shop, "203.0.113.145") == 403)
    assert status_of(shop, "203.0.113.146") == 200
    shop.manage("tracking_ban", "--remove", "203.0.113.145")
    until(lambda: status_of(shop, "203.0.113.145") == 200)


def status_of(shop, address):
    return shop.ask("GET", "/", {"X-Forwarded-For": address, "User-Agent": FIREFOX})[0]


def test_the_keyboard_alone_reaches_it_all(page, shop):
    for number in range(3):
        shop.visit("203.0.113.145", user_agent=f"{FIREFOX} {number}")
    shop.visit("203.0.113.177")
    look(page, shop)
    focused = (
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
    )

    def tab_to(wanted):
        for _ in range(80):
            page.keyboard.press("Tab")
            if wanted in (text := page.evaluate(focused) or ""):
                return text
        raise AssertionError(f"{wanted} was not reached")

    dots(page).nth(1).wait_for()
    page.locator("h1").first.click()
    tab_to("Map of visitors")
    tab_to("Zoom in")
    tab_to("Nairobi, Kenya: 3 visitors")  # the largest, and the only stop among the dots
    assert page.locator(".tracking-map-name").inner_text() == "Nairobi, Kenya: 3 visitors"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Buenos Aires, Argentina: 1 visitor"
    page.keyboard.press("Home")
    assert page.evaluate(focused) == "Nairobi, Kenya: 3 visitors"
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Visitors in Buenos Aires").wait_for()
    until(lambda: rows(page).count() == 1)
    assert "Visitors in Buenos Aires" in page.evaluate(focused)
    tab_to("Buenos Aires, Argentina")
    page.keyboard.press("Enter")
    panel(page).get_by_role("link", name="Ban this network").wait_for()
    tab_to("Ban this network")
    page.keyboard.press("Escape")
    panel(page).wait_for(state="hidden")
    until(lambda: "visitor=" not in page.evaluate("location.search"))  # history takes its time
    assert "Buenos Aires, Argentina" in page.evaluate(focused)


@both
def test_axe_finds_nothing_grave(page, shop):
    shop.visit("203.0.113.145", "/products/genmaicha/")
    shop.visit("2001:db8:1b00::7", user_agent=BOT)
    look(page, shop)
    assert axe.violations(page) == []
    rows(page).first.get_by_role("link").click()
    panel(page).get_by_role("link", name="Ban this network").wait_for()
    assert axe.violations(page) == []


@both
@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_map_is_legible_where_a_theme_lacks_the_variables_of_django(page, shop, theme):
    shop.visit("203.0.113.145", "/products/genmaicha/")
    browsers.lack_variables(page)
    look(page, shop)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    fill = "one => getComputedStyle(one).fill"
    assert page.locator(".tracking-land").first.evaluate(fill) not in {"rgb(0, 0, 0)", "none"}
    page.locator("a.tracking-visitor").first.press("Enter")
    page.get_by_role("heading", name="Ban").wait_for()
    for part in ("#content-main", "dialog"):
        grave = axe.violations(page, within=part)
        assert [one for one in grave if "contrast" in one] == []


def test_axe_sees_what_is_wrong(page, shop):
    look(page, shop)
    page.evaluate("document.querySelector('h1').append(document.createElement('button'))")
    assert any("button-name" in one for one in axe.violations(page))


@both
def test_nothing_scrolls_sideways(page, shop):
    shop.visit("203.0.113.145", "/" + "?" + "x" * 500)
    look(page, shop)
    for width in (360, 768, 999, 1000, 1001, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        where = page.locator("section[aria-labelledby=tracking-where]").bounding_box()
        who = page.locator(".tracking-who").bounding_box()
        is_beside = who["y"] < where["y"] + where["height"] / 2
        assert is_beside is (width > 1000)
    assert browsers.forbidden(page) == []


def test_what_strangers_send_is_text(page, shop):
    shop.visit(
        "203.0.113.145", user_agent=f"{FIREFOX} {NASTY}", Referer=f"https://a.example/{NASTY}"
    )
    shop.change("UPDATE tracking_visitor SET url = ?, city = ?, browser = ?", *[NASTY] * 3)
    look(page, shop)
    assert NASTY in rows(page).first.inner_text()
    rows(page).first.get_by_role("link").click()
    panel(page).get_by_role("link", name="Ban this address").wait_for()
    assert NASTY in panel(page).inner_text()
    assert "Active visitors" in page.title()
    assert page.locator("img[src*=evil]").count() == 0
    hrefs = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert all(href.startswith(shop.url) for href in hrefs)
    assert browsers.forbidden(page) == []


def test_the_watch_sees_what_the_policy_forbids_and_what_goes_elsewhere(shop, browser, session):
    context = browser.new_context(storage_state=session)
    page = context.new_page()
    wrong = browsers.watched(page, shop.url)
    look(page, shop)
    assert wrong == browsers.forbidden(page) == []
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://a.example/'}))")
    until(lambda: len(browsers.forbidden(page)) >= 2)
    assert any("style-src" in one for one in browsers.forbidden(page))
    assert any("a.example" in one for one in wrong)
    context.close()


def test_the_page_pauses_while_its_tab_is_hidden(page, shop):
    look(page, shop)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    browsers.hide(page)
    assert page.get_by_text("Paused").is_visible()
    page.clock.fast_forward(60_000)
    assert asked == []
    browsers.hide(page, hidden=False)
    page.get_by_text("Updated").wait_for()
    assert len(asked) == 1


def test_an_error_says_what_failed_and_goes_away(page, shop):
    shop.visit("203.0.113.145")
    look(page, shop)
    now = re.compile(r"/active/now/")
    page.route(now, lambda route: route.fulfill(status=200, body="no JSON"))
    wait(page)
    page.get_by_role("alert").filter(has_text="The site does not respond.").wait_for()
    assert page.get_by_text("Last updated").is_visible()
    assert rows(page).count() == 1
    page.unroute(now)
    wait(page)
    page.get_by_role("alert").wait_for(state="hidden")
    page.context.clear_cookies()
    page.clock.fast_forward(5_000)
    notice = page.get_by_role("alert").filter(has_text="You are no longer logged in.")
    notice.wait_for()
    link = notice.get_by_role("link", name="Log in again").get_attribute("href")
    assert link.startswith("/admin/login/?next=%2Fadmin%2Ftracking%2Fvisitor%2Factive%2F")


def test_a_link_to_a_visitor_who_is_gone_says_so(page, shop):
    page.route("**/active/999/", lambda route: route.fulfill(status=200, body="no JSON"))
    look(page, shop, "?visitor=999")
    panel(page).get_by_text("The visitor could not be loaded.").wait_for()
    page.keyboard.press("Escape")
    panel(page).wait_for(state="hidden")


def test_without_the_library_there_is_a_list_and_no_map(page, shop):
    shop.visit("203.0.113.145")
    page.route("**/js_lib_leaflet/leaflet.js", lambda route: route.fulfill(status=200, body=""))
    look(page, shop)
    page.get_by_text("The map could not be loaded.").wait_for()
    assert rows(page).count() == 1
    assert page.get_by_role("table").get_by_role("link", name="Nairobi").is_visible()
