import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.enrichment import user_agents
from tracking.enrichment.user_agents import Agent, bot_name, identify

#: Agents of people, with what they are.
PEOPLE = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "Windows 10", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36 Edg/128.0.0.0":
        Agent("Edge 128", "Windows 10", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0; Tablet PC 2.0) like Gecko":
        Agent("IE 11", "Windows 10", "desktop"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15":
        Agent("Safari 17", "macOS", "desktop"),
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36":
        Agent("Chrome 128", "Chrome OS", "desktop"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "Ubuntu", "desktop"),
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0":
        Agent("Firefox 128", "FreeBSD", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "coc_coc_browser/120.0.172 Chrome/114.0.5735.172 Safari/537.36":
        Agent("Coc Coc 120", "Windows 10", "desktop"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1":
        Agent("Mobile Safari 17", "iOS 17", "mobile"),
    "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/12.1 Mobile/15E148 Safari/604.1":
        Agent("Mobile Safari 12", "iOS 12", "tablet"),
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 128", "Android 10", "mobile"),
    "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36":
        Agent("Chrome 128", "Android 14", "tablet"),
    "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0":
        Agent("Firefox Mobile 128", "Android 14", "mobile"),
    "Mozilla/5.0 (Android 14; Tablet; rv:128.0) Gecko/128.0 Firefox/128.0":
        Agent("Firefox Mobile 128", "Android 14", "tablet"),
    "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4 "
    "like Chrome/108.0 Safari/537.36":
        Agent("Amazon Silk 108", "Android 9", "tablet"),
    "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/52.0 Mobile Safari/537.36 Edge/15.14977":
        Agent("Edge Mobile 15", "Windows Phone 10", "mobile"),
    "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; id) Presto/2.12.423 Version/12.16":
        Agent("Opera Mini 36", "Android", "mobile"),
    "Mozilla/5.0 (Linux; Android 9; BRAVIA 4K Build/PTT1; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/90.0 Safari/537.36 Android TV":
        Agent("Chrome 90", "Android 9", ""),
    # Mail.
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0":
        Agent("Thunderbird 128", "Linux", "desktop"),
    "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 Thunderbird/52.9.1 "
    "Lightning/5.4.9.1":
        Agent("Thunderbird 52", "Windows 10", "desktop"),
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0E; "
    "Tablet PC 2.0; Microsoft Outlook 16.0.5134; ms-office; MSOffice 16)":
        Agent("Outlook 2016", "Windows 10", "desktop"),
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)":
        Agent("Outlook 2016", "Windows 10", "desktop"),
    "Microsoft Office/16.0 (Microsoft Outlook 16.0.17928; Pro)":
        Agent("Outlook 2016", "", ""),
    "Outlook-iOS/723.4027091.prod.iphone (4.28.0)":
        Agent("Outlook-iOS 4", "iOS", ""),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)":
        Agent("Apple Mail", "macOS", "desktop"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148":
        Agent("Mobile Safari UI/WKWebView", "iOS 17", "mobile"),
    "Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/128.0.6613.127 Mobile Safari/537.36":
        Agent("Chrome Mobile WebView 128", "Android 13", "mobile"),
    # Phones that are called nearly as a bot is.
    "Mozilla/5.0 (Linux; Android 11; Cubot) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 11", "mobile"),
    "Mozilla/5.0 (Linux; U; Android 9; zh-CN; CUBOT NOTE 20 Build/PPR1) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 9", "mobile"),
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/90.0.0.0 Mobile Safari/537.36":
        Agent("Chrome Mobile 90", "Android 9", "mobile"),
    # Whom crawler-user-agents 1.67 takes for crawlers.
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36 "
    "Instagram 406.0.0.58.159 Android":
        Agent("Instagram 406", "Android 15", "mobile"),
    "Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/CP1A.260305.018; wv) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook":
        Agent("Chrome Mobile WebView 146", "Android 16", "mobile"),
    "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/70.0 Mobile Safari/537.36 SogouMSE,SogouMobileBrowser/5.29":
        Agent("Chrome 70", "Android 10", "mobile"),
    "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_6; en-us) AppleWebKit/528.16 "
    "(KHTML, like Gecko) Fluid/0.9.6 Safari/528.16":
        Agent("Fluid 0", "macOS", "desktop"),
}  # fmt: skip

BOTS = {
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36": "bingbot",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "Slackbot",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)":
        "facebookexternalhit",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)": "Slurp",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "HeadlessChrome/128.0.0.0 Safari/537.36": "HeadlessChrome",
    "python-requests/2.32.3": "python-requests",
    "curl/8.5.0": "curl",
}  # fmt: skip


@pytest.fixture
def no_extras(monkeypatch):
    """As if the extra [bots] were not installed."""
    forget()
    for name in ("ua_parser", "crawleruseragents"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    forget()


def forget():
    for cached in (user_agents._identify, user_agents._bot_name, user_agents._chunks):
        cached.cache_clear()


@pytest.mark.parametrize(("user_agent", "expected"), PEOPLE.items())
def test_agents_say_what_they_are(user_agent, expected):
    assert identify(user_agent) == expected


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_are_no_bots(user_agent):
    """Bot lists flag mail clients, and phones that are called Cubot."""
    assert bot_name(user_agent) is None


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_are_no_bots_without_the_list(no_extras, user_agent):
    assert bot_name(user_agent) is None


@pytest.mark.parametrize(("user_agent", "name"), BOTS.items())
def test_bots_have_a_name(user_agent, name):
    assert bot_name(user_agent) == name
    assert bot_name(user_agent) is bot_name(user_agent)


@pytest.mark.parametrize(("user_agent", "name"), BOTS.items())
def test_bots_that_say_so_are_known_without_the_list(no_extras, user_agent, name):
    assert bot_name(user_agent) == name


@pytest.mark.parametrize(
    "user_agent",
    ["Foo/1.0 (+https://foo.example/why)", "MicrosoftPreview/2.0", "Some-Crawler", "examplebot",
     "Mozilla/5.0 (compatible; PetalBot;)", "Python/3.12 aiohttp/3.9", "a-spider/1"],
)  # fmt: skip
def test_own_rules(no_extras, user_agent):
    assert bot_name(user_agent)


def test_every_example_of_the_list_is_found_but_those_of_people():
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    missed = {
        entry["pattern"]
        for entry in CRAWLER_USER_AGENTS_DATA
        for example in entry["instances"]
        if bot_name(example) is None and re.search(entry["pattern"], example)
    }
    assert missed <= set(user_agents._TOO_WIDE) - {"Sogou"}


def test_without_the_parser_an_agent_is_blank(no_extras):
    assert {identify(user_agent) for user_agent in PEOPLE} == {Agent()}


def test_other_programs_on_android_do_not_tell_the_device():
    assert identify("Dalvik/2.1.0 (Linux; U; Android 13; SM-S908B Build/TP1A)").device == ""


@pytest.mark.parametrize("user_agent", ["", " ", "\0", "\ud800", "Mozilla/5.0", "x" * 100_000])
def test_who_says_nothing_is_blank(user_agent):
    assert identify(user_agent) == Agent()
    assert bot_name(user_agent) is None


def test_names_are_cut_and_in_one_line():
    found = identify(f"Thunderbird/{'1' * 1900}.2")
    assert len(found.browser) == 100
    assert len(bot_name("ContextualBot" + "\0x" * 500 + "outcomes.net")) == 100


def test_only_so_many_agents_are_remembered():
    for function in (user_agents._identify, user_agents._bot_name):
        assert function.cache_parameters()["maxsize"] == 10_000
    long = "Mozilla/5.0 " + "x" * 1988
    assert identify(long + "a") is identify(long + "b")


pieces = st.sampled_from([*PEOPLE, *BOTS, "bot", "\0", "\n", "Android", "Tablet", "\ud800", "Ü"])
texts = st.text(st.characters(), max_size=100) | st.lists(pieces, max_size=4).map("".join)


@given(texts)
def test_no_text_breaks_anything(user_agent):
    found = identify(user_agent)
    for text in (found.browser, found.os, bot_name(user_agent) or ""):
        assert len(text) <= 100
        assert "\0" not in text
        text.encode()  # PostgreSQL takes it
    assert found.device in {"", *user_agents.Device.values}


@given(texts)
def test_no_text_breaks_the_own_rules(user_agent):
    found = user_agents._OWN_RULES.search(user_agents._readable(user_agent))
    assert found is None or found[0]
