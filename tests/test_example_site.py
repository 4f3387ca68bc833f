"""The example shop, run as ``make demo`` runs it, and used by a real browser."""

import re

import pytest

from tests import services
from tests.shop import Shop

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


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.first_output = shop.manage("demo", "--no-server")
    with shop.served_by("manage.py", "runserver", "--noreload", f"127.0.0.1:{shop.port}"):
        yield shop


def test_the_demo_prints_what_to_open_and_the_log_in(shop):
    assert shop.url in shop.first_output
    assert "60 messages" in shop.first_output
    assert "name admin, password admin" in shop.first_output


def test_the_demo_can_be_run_again_and_sends_the_same_urls(shop):
    before = {to: urls_in(message) for to, message in shop.messages().items()}
    assert "60 messages" in shop.manage("demo", "--no-server")
    assert {to: urls_in(message) for to, message in shop.messages().items()} == before


def urls_in(message):
    """Return the URLs of both parts of a message."""
    parts = (message.get_body([subtype]).get_content() for subtype in ("plain", "html"))
    return [url for part in parts for url in re.findall(r'https?://[^\s"]+', part)]


def test_the_campaign_is_one_multipart_message_for_each_subscriber(shop):
    messages = shop.messages()
    assert len(messages) == 60
    # Each has a pixel, a link in both parts, and a link of the shop that both share.
    assert len({url for message in messages.values() for url in urls_in(message)}) == 60 * 4
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
def test_opening_a_message_and_following_its_link_is_seen_in_the_admin(shop, tmp_path):
    from playwright.sync_api import sync_playwright

    to = "bartholomaus.gross@mail.example"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=services.chromium(), args=CHROMIUM_ARGUMENTS
        )
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
        assert opened.value.url == f"{shop.url}/products/first-flush-darjeeling/"
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
        browser.close()

    assert [(kind, email, affiliate) for kind, email, affiliate, _, _ in shop.beacons()] == [
        ("open", to, "Kettle Talk"),
        ("click", to, "Kettle Talk"),
        ("click", to, "Kettle Talk"),
    ]
    assert [to in row and "Kettle Talk" in row for row in rows] == [True, True, True]
    assert ["Click" in row for row in rows] == [True, True, False]
    assert "First Flush Darjeeling" in rows[1]
    assert "spring-sale" in detail
    assert outside == []
