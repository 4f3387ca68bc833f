"""Which site led here, in one spelling, and through which channel."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking.enrichment.referrers import (
    SITES,
    Channel,
    Referrer,
    host_of,
    origin,
    source_named,
    spelled,
)
from tracking.reports.top_lists import LISTS


@pytest.mark.parametrize(
    ("referrer", "source", "channel"),
    [
        ("https://www.google.com/", "Google", "search"),
        ("https://www.google.com:443/", "Google", "search"),
        ("https://www.google.com./", "Google", "search"),
        ("https://google.co.uk/", "Google", "search"),
        ("https://www.google.com.br/", "Google", "search"),
        ("HTTPS://WWW.GOOGLE.DE", "Google", "search"),
        ("android-app://com.google.android.googlequicksearchbox/", "Google", "search"),
        ("https://www.bing.com/search?q=x", "Bing", "search"),
        ("https://t.co/abc", "X", "social"),
        ("https://lm.facebook.com/", "Facebook", "social"),
        ("https://mail.google.com/mail/u/0/", "Gmail", "mail"),
        ("https://gemini.google.com/app", "Gemini", "assistant"),
        ("https://chatgpt.com/", "ChatGPT", "assistant"),
        ("https://shop.example.com/", "shop.example.com", "referral"),
        ("about:blank", "", "direct"),
        ("javascript:alert(1)", "", "direct"),
        ("", "", "direct"),
        ("tea", "", "direct"),
        ("https://", "", "direct"),
        ("https://[::1", "", "direct"),
        ("https://www.google.com@evil.example/x", "evil.example", "referral"),
        ("https://google.com.evil.example/", "google.com.evil.example", "referral"),
        ("https://google.evil.example/", "google.evil.example", "referral"),
        ("https://notgoogle.com/", "notgoogle.com", "referral"),
        ("https://google/", "google", "referral"),
        ("https://me:secret@blog.example/", "blog.example", "referral"),
    ],
)
def test_each_spelling_of_a_site_is_that_site(referrer, source, channel):
    assert origin(referrer) == (source, channel)


def test_the_list_of_referrers_names_well_known_sites():
    values = ["Google", "ChatGPT", "blog.example", "Mail.ru", "You.com", ""]
    assert LISTS["referrers"].labels(values) == {
        "Google": "Google (Search engine)",
        "ChatGPT": "ChatGPT (AI assistant)",
        "Mail.ru": "Mail.ru (Mail)",
        "You.com": "You.com (AI assistant)",
    }


@pytest.mark.parametrize(("channel", "name", "_hosts"), SITES)
def test_each_site_is_found_by_its_name(channel, name, _hosts):
    assert source_named(name) == (name, channel)


@pytest.mark.parametrize(
    ("referrer", "recorded"),
    [
        ("https://Blog.example:443/Tea?a=1#top", ("https://blog.example/Tea?a=1", False)),
        ("https://me:secret@blog.example./", ("https://blog.example/", False)),
        ("http://blog.example:8080", ("http://blog.example:8080", False)),
        ("https://[2001:DB8::7]:443/", ("https://[2001:db8::7]/", False)),
        ("https://www.shop.example/page", ("", True)),
        ("http://shop.example:80/", ("", True)),
        ("https://SHOP.example./", ("", True)),
        ("https://me@shop.example/", ("", True)),
        ("https://shop.example:8443/", ("https://shop.example:8443/", False)),
        ("https://other.example/", ("", True)),
        ("about:blank", ("", False)),
        ("javascript:alert(1)", ("", False)),
        ("https://blog.example:99999999/", ("", False)),
        ("", ("", False)),
    ],
)
def test_own_hosts_are_internal_and_what_is_no_url_is_direct(settings, referrer, recorded):
    settings.ALLOWED_HOSTS = ["other.example"]
    assert Referrer.of(referrer, "www.shop.example") == recorded
    if not recorded[1]:
        assert spelled(referrer) == recorded[0]


@given(st.text() | st.from_regex(r"https?://[^/]*/.*"))
@example("https://" + "a" * 300)
@example("HTTP://\x0c?")
@example("http://a b/")
def test_no_text_of_a_stranger_fails_or_shows_userinfo(text):
    source, channel = origin(text)
    assert channel in Channel.values
    assert "@" not in source
    once = spelled(text)
    assert spelled(once) == once
    assert "@" not in once.partition("://")[2].partition("/")[0].partition("?")[0]
    assert len(source) <= 253


def test_no_host_of_the_table_has_two_names():
    hosts = [host for _channel, _name, of_site in SITES for host in of_site]
    assert len(hosts) == len(set(hosts))
    assert all(host == host.lower() and not host.startswith("www.") for host in hosts)
    assert len({name for _channel, name, _hosts in SITES}) == len(SITES)


@pytest.mark.parametrize(("channel", "name", "hosts"), SITES)
def test_each_host_of_the_table_is_found(channel, name, hosts):
    for host in hosts:
        url = f"https://sub.{host.replace('*', 'de')}/x"
        assert origin(url) == (name, channel), host
        assert host_of(url) == f"sub.{host.replace('*', 'de')}"
