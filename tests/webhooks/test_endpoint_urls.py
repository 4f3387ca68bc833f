import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.webhooks.endpoint_urls import BadUrl, EndpointUrl, problem_of

BAD = [
    "", "example.com", "//example.com/", "ftp://example.com/", "http://example.com/",
    "https://", "https:///path", "https://user@example.com/", "https://a:b@example.com/",
    "https://example.com/#top", "https://example.com/a b", "https://example.com/ü",
    "https://exämple.com/", "https://example.com:0/", "https://example.com:99999/",
    "https://example.com:x/", "https://example.com\\@evil.example/", "https://example.com/\r\nX: y",
    "https://[::1/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data", "https://a..b/", "https://" + "a" * 300 + "/",
    "https://example.com/" + "a" * 1_000, "javascript:alert(1)", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_urls_that_no_endpoint_may_have(url):
    assert problem_of(url)


def test_parts():
    url = EndpointUrl("https://example.com/hooks?list=7")
    assert (url.is_https, url.host, url.port, url.path) == (
        True, "example.com", 443, "/hooks?list=7",
    )  # fmt: skip
    assert url.host_header == "example.com"
    assert EndpointUrl("https://example.com:8443").host_header == "example.com:8443"
    assert EndpointUrl("https://[2606:4700::1]:8443/").host_header == "[2606:4700::1]:8443"
    assert EndpointUrl("https://example.com").path == "/"


def test_http_where_the_site_allows_it(settings):
    assert problem_of("http://example.com/")
    settings.TRACKING_WEBHOOK_HTTP = True
    assert problem_of("http://example.com/") is None
    assert EndpointUrl("http://example.com/").port == 80


def test_http_on_a_developers_machine(settings):
    settings.DEBUG = True
    assert problem_of("http://example.com/") is None


def test_addresses_of_networks_that_the_site_names(settings):
    settings.TRACKING_WEBHOOK_NETWORKS = ["10.0.0.0/8"]
    assert problem_of("https://10.0.0.1/") is None


@given(
    st.one_of(st.text(), st.text().map("https://{}".format), st.text().map("https://a/{}".format))
)
def test_any_text_is_a_url_or_is_not(text):
    try:
        url = EndpointUrl(text)
    except BadUrl:
        return
    assert url.is_https
    assert url.path.isascii()
    assert url.path.isprintable()
    assert url.path.startswith("/")
    assert " " not in url.path
    assert "\r" not in url.host_header
