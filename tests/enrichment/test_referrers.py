"""Which site led here, in one spelling, and through which channel."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking.enrichment.referrers import SITES, Channel, host_of, origin
from tracking.reports.top_lists import LISTS

OWN = {"example.com"}


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
        ("https://example.com/page", "", "internal"),
        ("http://www.example.com:80/", "", "internal"),
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
    assert origin(referrer, own_hosts=OWN) == (source, channel)


def test_the_list_of_referrers_names_well_known_sites():
    values = ["google.co.uk", "chatgpt.com", "blog.example", "com.google.android.gm", "x.example:1"]
    assert LISTS["referrers"].labels(values) == {
        "google.co.uk": "google.co.uk (Google, Search engine)",
        "chatgpt.com": "chatgpt.com (ChatGPT, AI assistant)",
        "com.google.android.gm": "com.google.android.gm (Gmail, Mail)",
    }


@given(st.text() | st.from_regex(r"https?://[^/]*/.*"))
@example("https://" + "a" * 300)
def test_no_text_of_a_stranger_fails_or_shows_userinfo(text):
    source, channel = origin(text, own_hosts=OWN)
    assert channel in Channel.values
    assert "@" not in source
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
