"""What Chromium reads in a rewritten mail is what it read before, with other destinations."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.mail_html import soup
from tracking.mail.rewriting import rewrite

pytestmark = pytest.mark.browser

_READ = """html => {
    const document = new DOMParser().parseFromString(html, "text/html");
    const isLink = element => /^(a|area|v:.*)$/i.test(element.localName);
    const links = [...document.querySelectorAll("[href]")].filter(isLink);
    const addresses = links.map(link => link.getAttribute("href"));
    links.forEach(link => link.removeAttribute("href"));
    // Only Outlook reads the links in them.
    const comments = document.createTreeWalker(document, NodeFilter.SHOW_COMMENT);
    while (comments.nextNode()) {
        comments.currentNode.data = comments.currentNode.data.replace(/^\\[if.*/s, "");
    }
    return [addresses, document.documentElement.outerHTML];
}"""


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
    before, document = page.evaluate(_READ, html)
    after, new_document = page.evaluate(_READ, result)
    assert new_document == document
    assert [_read(destinations.get(url, url)) for url in after] == [_read(url) for url in before]
    for url in after:
        assert url in destinations or not _is_plain(url)


def _read(url):
    """Return a URL as a browser follows it."""
    return url.strip("".join(map(chr, range(0x21)))).translate({9: None, 10: None, 13: None})


def _is_plain(url):
    return _read(url).lower().startswith(("http://", "https://")) and "{{" not in url
