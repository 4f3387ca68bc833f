"""The example shop, run as ``make demo`` runs it, and used by a real browser."""

import re

import pytest

from tests.support import browsers
from tests.support.shop import BOT, FIREFOX, Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.first_output = shop.manage("demo", "--no-server")
    with shop.served_by("manage.py", "runserver", "--noreload", f"127.0.0.1:{shop.port}"):
        yield shop


def test_the_demo_prints_what_to_open_and_the_log_in(shop):
    lines = shop.first_output.split("\n")
    urls = {line.split()[0]: line.split()[1] for line in lines if shop.url in line}
    assert list(urls)[:3] == ["Overview", "Mailing", "Map"]
    found = {shop.ask("GET", url.removeprefix(shop.url))[0] for url in urls.values()}
    assert found == {200, 302, 403}  # pages, those of the admin, and the live list for strangers
    assert "300 messages" in shop.first_output
    assert "log in as admin, password admin" in shop.first_output


def test_the_demo_can_be_run_again_and_sends_the_same_urls(shop):
    before = {to: urls_in(message) for to, message in shop.messages().items()}
    assert "300 messages" in shop.manage("demo", "--no-server")
    assert shop.rows("SELECT count(*) FROM tracking_beacon WHERE kind = 'sent'") == [(300,)]
    assert {to: urls_in(message) for to, message in shop.messages().items()} == before


def urls_in(message):
    """Return the URLs of both parts of a message."""
    parts = (message.get_body([subtype]).get_content() for subtype in ("plain", "html"))
    return [url for part in parts for url in re.findall(r'https?://[^\s"]+', part)]


def test_the_campaign_is_one_multipart_message_for_each_subscriber(shop):
    messages = shop.messages()
    assert len(messages) == 300
    # Each has a pixel, four links that both parts share, and a link of the shop.
    assert len({url for message in messages.values() for url in urls_in(message)}) == 300 * 6
    assert len({message["Subject"] for message in messages.values()}) > 2
    for to, message in messages.items():
        assert message.get_content_type() == "multipart/alternative"
        html = message.get_body(["html"]).get_content()
        assert html.count('width="1" height="1" alt=""') == 1
        assert to not in "".join(urls_in(message))
        assert f"{shop.url}/t/" in message.get_body(["plain"]).get_content()


def test_the_example_passes_all_checks(shop):
    shop.manage("check", "--fail-level", "WARNING")
    shop.manage("makemigrations", "--check", "--dry-run")


@pytest.mark.browser
def test_opening_a_message_and_following_its_link_is_seen_in_the_admin(shop, browser):
    to = "bartholomaus.gross@mail.example"
    context = browser.new_context()
    outside = []
    context.on(
        "request",
        lambda request: request.url.startswith(shop.url) or outside.append(request.url),
    )
    page = context.new_page()
    page.goto(f"{shop.url}/outbox/")
    with page.expect_response(re.compile(r"/t/[\w-]+\.gif$")) as pixel:
        page.get_by_role("link", name=to).click()
    assert pixel.value.status == 200
    message = page.frame_locator("iframe")
    with context.expect_page() as opened:
        message.get_by_role("link", name="Taste it").click()
    opened.value.wait_for_load_state()
    path, _, query = opened.value.url.partition("?")
    assert path == f"{shop.url}/products/first-flush-darjeeling/"
    assert "utm_campaign=spring-letter" in query
    with context.expect_page() as opened:
        message.get_by_role("link", name="20% off").click()
    opened.value.wait_for_load_state()
    assert opened.value.url == f"{shop.url}/products/first-flush-darjeeling/?code=spring-20"

    page.goto(f"{shop.url}/admin/tracking/beacon/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    table = page.locator("#result_list tbody tr")
    table.first.wait_for()
    rows = table.all_inner_texts()
    table.nth(2).get_by_role("link").first.click()
    detail = page.locator("#beacon_form").inner_text()
    context.close()

    found = [beacon[:3] for beacon in shop.beacons() if beacon[0] != "sent"]
    assert [(kind, email) for kind, email, _ in found] == [
        ("open", to),
        ("click", to),
        ("click", to),
    ]
    assert [source.startswith("Spring letter") for _, _, source in found] == [True, True, False]
    assert found[-1][2] == "Kettle Talk"
    assert all(to in row for row in rows[:3])
    assert ["Click" in row for row in rows[:3]] == [True, True, False]
    assert "Spring letter" in detail
    assert outside == []


# --- Who is in the shop now --------------------------------------------------------------


def test_a_page_shows_the_number_of_readers(shop):
    page = shop.visit("192.0.2.201")
    readers, here = re.search(r"(\d+) readers? in the shop, (\d+) on this page", page).groups()
    assert 1 <= int(here) <= int(readers)


def test_the_live_list_asks_strangers_to_log_in(shop):
    status, _, body = shop.ask("GET", "/live/")
    assert status == 403
    assert 'href="/admin/login/?next=/live/"' in body.decode()
    assert "data-feed" not in body.decode()


@pytest.fixture(params=["light", "dark"])
def page(request, shop, browser):
    """The live list, in front of who keeps the shop; it notes what goes wrong on it."""
    context = browser.new_context(color_scheme=request.param, user_agent=FIREFOX)
    page = context.new_page()
    page.goto(f"{shop.url}/admin/login/?next=/live/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/live/")
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on(
        "request",
        lambda request: request.url.startswith(shop.url) or page.wrong.append(request.url),
    )
    page.clock.install()
    page.reload()
    page.get_by_text("Updated").wait_for()
    yield page
    context.close()


def wait(page):
    """Let the five seconds pass after which the list is brought up to date."""
    with page.expect_response("**/t/active"):
        page.clock.fast_forward(5_000)


def row_of(page, place):
    return page.locator("tbody tr").filter(has_text=place).first


@pytest.mark.browser
def test_a_visitor_appears_in_the_live_list_by_itself(shop, page, request):
    # Each scheme has visitors of its own, and a place of theirs that nobody else is at.
    is_dark = "dark" in request.node.name
    address, city, country = (
        ("203.0.113.177", "Buenos Aires", "Argentina")
        if is_dark
        else ("203.0.113.145", "Nairobi", "Kenya")
    )
    bot_address, bot_city = (
        ("2001:db8:1a00::7", "Colombo") if is_dark else ("2001:db8:1b00::7", "Reykjavík")
    )
    page.evaluate("window.isTheSame = true")
    total = int(page.locator("[data-total]").inner_text())
    referrer = """https://www.tea.example/?a=<b>&b="'&amp;"""
    shop.visit(address, "/products/genmaicha/", Referer=referrer)
    shop.visit(bot_address, user_agent=BOT)
    wait(page)
    row = row_of(page, city)
    row.wait_for()
    assert page.evaluate("window.isTheSame")
    place, seen, _, pages, origin, program, user = row.locator("td").all_inner_texts()
    assert place.split() == [*city.split(), country]
    assert (seen, pages, origin, user) == (
        "/products/genmaicha/",
        "1",
        "tea.example",
        "\N{EN DASH}",
    )
    assert program.split() == ["Firefox", "143", "Linux,", "desktop"]
    assert row.locator("td").nth(4).get_attribute("title") == referrer
    assert "Bot" not in row.inner_text()
    bot = row_of(page, bot_city)
    assert "Googlebot 2" in bot.inner_text()
    assert bot.get_by_text("Bot", exact=True).is_visible()
    assert int(page.locator("[data-total]").inner_text()) == total + 2
    assert page.locator("[data-machines]").inner_text().endswith(("a bot", "bots"))
    # What it says is read against its background.
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is is_dark
    assert page.wrong == []


@pytest.mark.browser
def test_the_live_list_has_room_on_a_phone(shop, page):
    shop.visit("203.0.113.209")
    wait(page)
    row_of(page, "Auckland").wait_for()
    for width in (320, 360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert row_of(page, "Auckland").is_visible()
    assert page.wrong == []


@pytest.mark.browser
def test_new_rows_slide_in_once_and_not_where_motion_is_reduced(shop, page, request):
    motion = "reduce" if "dark" in request.node.name else "no-preference"
    page.emulate_media(reduced_motion=motion)
    animation = "row => getComputedStyle(row).animationName"
    for row in page.locator("tbody tr").all():
        assert row.evaluate(animation) == "none"  # was there from the start
    address, city = (
        ("203.0.113.161", "Cairo") if motion == "reduce" else ("203.0.113.193", "Singapore")
    )
    shop.visit(address)
    wait(page)
    row = row_of(page, city)
    row.wait_for()
    assert row.evaluate(animation) == ("none" if motion == "reduce" else "arrive")
    wait(page)
    row.and_(page.locator(":not(.new)")).wait_for()


@pytest.mark.browser
def test_the_live_list_says_that_nobody_is_there_and_that_something_is_wrong(shop, page):
    feed = "**/t/active"
    page.route(feed, lambda route: route.fulfill(json={"users": [], "total": 0}))
    page.reload()
    page.get_by_text("Nobody is in the shop.").wait_for()
    assert page.locator("table").is_hidden()
    assert page.get_by_role("alert").count() == 0

    page.unroute(feed)
    page.route(feed, lambda route: route.fulfill(status=500))
    wait(page)
    page.get_by_role("alert").filter(has_text="No answer from the shop.").wait_for()
    assert page.get_by_text("Last updated").is_visible()
    page.unroute(feed)
    wait(page)
    page.get_by_role("alert").wait_for(state="hidden")

    page.context.clear_cookies()
    wait(page)
    notice = page.get_by_role("alert").filter(has_text="You are no longer logged in.")
    notice.wait_for()
    link = notice.get_by_role("link", name="Log in again")
    assert link.get_attribute("href") == "/admin/login/?next=/live/"


@pytest.mark.browser
def test_the_live_list_pauses_while_its_tab_is_hidden(shop, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    browsers.hide(page)
    assert page.get_by_text("Paused").is_visible()
    page.clock.fast_forward(60_000)
    assert asked == []
    browsers.hide(page, hidden=False)
    page.get_by_text("Updated").wait_for()
    assert asked == [f"{shop.url}/t/active"]
    page.clock.fast_forward(4_000)
    assert len(asked) == 1
    wait(page)
    assert len(asked) == 2
    assert page.wrong == []
