"""The overview and the report on a campaign in a browser."""

import csv
import re

import pytest

from tests.support import axe, browsers
from tests.support.shop import Shop

pytestmark = pytest.mark.browser

OVERVIEW = "/admin/tracking/beacon/overview/"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop whose campaign was read, and in which a few were today."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.manage("demo", "--no-server")
    shop.manage("simulate_visitors", "--visitors", "60")
    with shop.served_by("manage.py", "runserver", "--noreload", f"127.0.0.1:{shop.port}"):
        yield shop


@pytest.fixture(scope="module")
def session(shop, browser):
    """The cookies of who keeps the shop."""
    return browsers.log_in(browser, shop.url)


@pytest.fixture
def page(request, shop, browser, session):
    """A page under a strict policy, in front of who keeps the shop; all that goes wrong fails."""
    context = browser.new_context(
        color_scheme=getattr(request, "param", "light"),
        storage_state=session,
        viewport={"width": 1440, "height": 900},
    )
    page = context.new_page()
    wrong = browsers.watched(page, shop.url)
    page.route(re.compile(r"/admin/"), _strictly)
    yield page
    assert wrong == []
    context.close()


def _strictly(route):
    """Answer as the shop does, and forbid what does not come from it in files of their own."""
    if route.request.resource_type != "document" or ".csv" in route.request.url:
        return route.continue_()
    response = route.fetch()
    headers = {**response.headers, "content-security-policy": POLICY}
    return route.fulfill(response=response, headers=headers)


def mailing(shop):
    """Return name and key of an affiliate whose mail somebody has clicked in."""
    [(name, pk), *_others] = shop.rows(
        """
        SELECT DISTINCT affiliate.name, affiliate.id FROM shop_affiliate AS affiliate
        JOIN tracking_beacon AS beacon ON beacon.source_id = affiliate.id
        WHERE beacon.kind = 'click' AND beacon.entity_id IS NOT NULL
        AND beacon.verdict = 'human'
        """
    )
    return name, pk


def report_path(shop):
    return f"/admin/tracking/beacon/report/shop.affiliate/{mailing(shop)[1]}/"


def follow(page, link):
    """Click, and wait until the page is there that this leads to."""
    with page.expect_navigation():
        link.click()


def figure(page, name):
    return page.locator(".tracking-figures a").filter(has_text=name)


def value(page, name):
    return figure(page, name).locator(".tracking-value").inner_text()


def assert_is_sound(page):
    """Nothing is forbidden or wrong for assistive technology, and nothing scrolls sideways."""
    assert browsers.forbidden(page) == []
    assert axe.violations(page, within="#content") == []
    width = page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_range_is_chosen_by_a_click_and_by_two_days(page, shop):
    page.goto(f"{shop.url}{OVERVIEW}")
    assert page.get_by_role("link", name="30 days").get_attribute("aria-current") == "true"
    follow(page, page.get_by_role("link", name="Today"))
    assert "period=today" in page.url
    assert page.get_by_role("link", name="Today").get_attribute("aria-current") == "true"
    page.get_by_label("From").fill("2026-01-05")
    page.get_by_label("to", exact=True).fill("2026-01-09")
    follow(page, page.get_by_role("button", name="Show"))
    assert "first=2026-01-05" in page.url
    assert value(page, "Visitors") == "0"
    page.go_back()
    assert value(page, "Visitors") != "0" or "period=today" in page.url
    assert_is_sound(page)


def test_a_line_filters_the_page_and_its_chip_takes_that_back(page, shop):
    page.goto(f"{shop.url}{OVERVIEW}")
    everybody = value(page, "Visitors")
    follow(page, page.locator("#countries tbody a").first)
    chips = page.get_by_role("list", name="Filters")
    assert "Country" in chips.inner_text()
    assert int(value(page, "Visitors")) < int(everybody)
    assert page.locator("#countries tbody tr").count() == 1
    follow(page, page.locator("#technology").get_by_role("link", name="Browsers"))
    assert "country=" in page.url
    assert page.locator("#technology th").first.inner_text() == "Browser"
    follow(page, page.locator("#technology tbody a").first)
    assert chips.get_by_role("link").count() == 2
    assert_is_sound(page)
    for _ in range(2):
        follow(page, chips.get_by_role("link").first)
    assert value(page, "Visitors") == everybody
    assert chips.count() == 0


def test_a_figure_becomes_the_series_of_the_chart(page, shop):
    page.goto(f"{shop.url}{OVERVIEW}?period=7")
    assert page.get_by_role("img", name=re.compile("Visitors")).is_visible()
    follow(page, figure(page, "Bounce rate"))
    assert page.get_by_role("img", name=re.compile("Bounce rate")).is_visible()
    assert "period=7" in page.url
    assert "%" in page.locator(".tracking-tick").first.text_content()
    page.get_by_text("Numbers as a table").click()
    assert page.locator(".tracking-chart-box tbody tr").count() == 7


def test_a_list_is_downloaded(page, shop):
    page.goto(f"{shop.url}{OVERVIEW}")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV: Countries").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    shown = page.locator("#countries tbody tr")
    assert rows[1][1] == shown.first.locator("th").inner_text()
    assert len(rows) - 1 >= shown.count()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("width", [360, 1440])
def test_the_pages_are_sound_in_every_light_and_width(page, shop, width):
    page.set_viewport_size({"width": width, "height": 800})
    for path in (
        OVERVIEW,
        f"{OVERVIEW}?period=today&series=visit_length",
        f"{OVERVIEW}?period=custom&first=2026-01-01&last=2026-01-02",
        f"{OVERVIEW}countries/",
        report_path(shop),
    ):
        page.goto(f"{shop.url}{path}")
        for summary in page.locator("summary").all():
            summary.click()
        assert_is_sound(page)
        assert_labels_have_room(page)


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_pages_are_legible_where_a_theme_lacks_the_variables_of_django(page, shop, theme):
    browsers.lack_variables(page)
    for path in (f"{OVERVIEW}?period=7", report_path(shop)):
        page.goto(f"{shop.url}{path}")
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        grave = axe.violations(page, within="#content-main")
        assert [one for one in grave if "contrast" in one] == []
        assert_is_drawn_in_colours(page)


def assert_is_drawn_in_colours(page):
    """Nothing of a picture is black because its colour is not defined."""
    for drawn in (".tracking-line", ".tracking-part-confirmed", ".tracking-bar rect"):
        for one in page.locator(drawn).all():
            assert one.evaluate(
                "one => [getComputedStyle(one).fill, getComputedStyle(one).stroke]"
            ) not in (["rgb(0, 0, 0)", "none"], ["none", "none"])


def assert_labels_have_room(page):
    """No label of an axis lies over another or beyond the window."""
    for axis in page.locator(".tracking-chart").all():
        boxes = [label.bounding_box() for label in axis.locator(".tracking-tick:visible").all()]
        for one in boxes:
            assert one["x"] >= 0
            assert one["x"] + one["width"] <= page.evaluate("innerWidth")
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                apart = (
                    one["x"] + one["width"] <= other["x"]
                    or other["x"] + other["width"] <= one["x"]
                    or one["y"] + one["height"] <= other["y"] + 4
                    or other["y"] + other["height"] <= one["y"] + 4
                )
                assert apart, (one, other)


#: What can be reached, as far as it is shown.
_TARGETS = """() => [...document.querySelectorAll("#content :is(a[href], button, input, summary)")]
    .filter(one => one.checkVisibility() && one.type !== "hidden")"""

#: The number of what is reached, and what shows that it is.
_REACHED = f"""() => {{
    const number = ({_TARGETS})().indexOf(document.activeElement);
    const {{outlineStyle}} = getComputedStyle(document.activeElement);
    return number < 0 ? null : [number, outlineStyle];
}}"""


def test_the_keyboard_alone_reaches_everything(page, shop):
    page.goto(f"{shop.url}{OVERVIEW}?page=/")
    number = page.evaluate(f"({_TARGETS})().length")
    assert number > 30
    page.locator("#content-start").focus()
    reached = set()
    for _ in range(2 * number):  # a date has several stops, of which the last is its button
        page.keyboard.press("Tab")
        if found := page.evaluate(_REACHED):
            reached.add(tuple(found))
    assert {(one, "solid") for one in range(number)} <= reached


def test_the_report_of_a_mailing_from_its_own_page(page, shop):
    title, pk = mailing(shop)
    page.goto(f"{shop.url}/admin/shop/affiliate/")
    assert page.get_by_role("columnheader", name="Opened").is_visible()
    page.goto(f"{shop.url}/admin/shop/affiliate/{pk}/change/")
    follow(page, page.get_by_role("link", name="Report", exact=True))
    page.get_by_role("heading", name=f"Report: {title}").wait_for()
    assert page.get_by_role("img", name=re.compile("Who opened")).is_visible()
    assert "at least" in page.locator(".tracking-opened-range").inner_text().lower()
    bar = page.locator(".tracking-parted").bounding_box()
    span = page.locator(".tracking-parted .tracking-span").bounding_box()
    assert bar["x"] - 5 <= span["x"] <= span["x"] + span["width"] <= bar["x"] + bar["width"] + 5
    everybody = page.locator("#recipients tbody tr").count()
    tab = page.get_by_role("link", name=re.compile(r"^Clicked \d+$"))
    number = int(tab.inner_text().split()[-1])
    follow(page, tab)
    clicked = page.locator("#recipients tbody tr")
    assert 0 < clicked.count() == number <= everybody
    states = {row.split("\t")[1] for row in clicked.all_inner_texts()}
    assert states <= {"Confirmed", "Proxied", "Clicked without image"}
    name = clicked.first.locator("th").inner_text()
    page.get_by_label("Search").fill(name)
    follow(page, page.get_by_role("button", name="Find"))
    assert clicked.count() == 1
    assert_is_sound(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV: Recipients").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        [_head, row] = csv.reader(file)
    assert name in row


def test_an_empty_site_is_sound(page, shop):
    page.goto(f"{shop.url}/admin/tracking/source/add/")
    page.get_by_label("Name", exact=False).first.fill("Empty")
    page.get_by_label("Slug").fill("empty")
    follow(page, page.get_by_role("button", name="Save and continue editing"))
    follow(page, page.get_by_role("link", name="Report", exact=True))
    page.get_by_text("To see opens and clicks here").wait_for()
    page.set_viewport_size({"width": 360, "height": 800})
    assert_is_sound(page)


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("width", [360, 1440])
def test_what_recipients_did_is_sound(page, shop, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{shop.url}{report_path(shop)}")
    assert_is_sound(page)
    follow(page, page.locator("#recipients tbody td a").first)
    page.get_by_role("heading", name="What they did").wait_for()
    assert_is_sound(page)
    page.goto(f"{shop.url}{report_path(shop)}pages/")
    page.get_by_role("heading", name="Pages after a click", exact=True).wait_for()
    assert_is_sound(page)
