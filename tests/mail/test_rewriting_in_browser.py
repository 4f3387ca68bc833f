"""What Chromium reads in a rewritten mail is what it read before, with other destinations."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.mail_corpus import CORPUS
from tests.support.mail_html import READ, as_followed, soup
from tracking.mail.rewriting import rewrite

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(soup().map(lambda html: html.replace(" data-no-track", " ")))
def test_chromium_sees_no_link_that_was_missed_and_no_other_change(page, html):
    destinations = {}

    def tracked(destination):
        url = f"https://t.example/{len(destinations)}/"
        destinations[url] = destination
        return url

    result = rewrite(html, tracked)
    before, document = page.evaluate(READ, html)
    after, new_document = page.evaluate(READ, result)
    assert new_document == document
    assert [as_followed(destinations.get(url, url)) for url in after] == [
        as_followed(url) for url in before
    ]
    for url in after:
        assert url in destinations or not _is_plain(url)


def _is_plain(url):
    return as_followed(url).lower().startswith(("http://", "https://")) and "{{" not in url


@pytest.mark.parametrize("mail", CORPUS, ids=lambda mail: mail.name)
def test_chromium_reads_the_same_in_mails_as_they_are_in_the_wild(page, mail):
    destinations = {}

    def tracked(destination):
        destinations[f"https://t.example/{len(destinations)}"] = destination
        return f"https://t.example/{len(destinations) - 1}"

    before, document = page.evaluate(READ, mail.html)
    after, new_document = page.evaluate(READ, rewrite(mail.html, tracked))
    assert new_document == document
    assert [destinations.get(url, as_followed(url)) for url in after] == [
        as_followed(url) for url in before
    ]
