"""The preferences page in Chromium, on a phone."""

import pytest

from tests.site.models import Subscriber
from tests.support.axe import violations
from tests.support.browsers import chromium, watched
from tracking import links, recipient_consent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_recipient_withdraws_with_the_keyboard(live_server, scheme):
    anna = Subscriber.objects.create()
    with chromium() as browser:
        size = {"width": 360, "height": 640}
        page = browser.new_page(viewport=size, color_scheme=scheme)
        wrong = watched(page, live_server.url)
        page.goto(live_server.url + links.preferences_url(anna))
        assert violations(page) == []
        opens = page.get_by_role("switch", name="Opens")
        assert opens.is_checked()
        opens.focus()
        page.keyboard.press("Space")
        page.get_by_text("Links lead through our site first.").click()
        page.get_by_role("button", name="Save my choice").click()
        page.get_by_role("status").wait_for()
        assert not opens.is_checked()
        assert not page.get_by_role("switch", name="Clicks").is_checked()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong == []
    assert recipient_consent.state(anna)[:2] == ("denied", "denied")
