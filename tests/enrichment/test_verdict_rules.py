import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agents import BOTS, PEOPLE
from tracking.enrichment.crawlers import bot_name
from tracking.enrichment.verdict_rules import (
    Label,
    Verdict,
    classify,
    describes_reader,
)

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
FASTMAIL = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/118.0.5993.117 Safari/537.36 FastmailUA/1.0"
)
APPLE = "Mozilla/5.0"


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    ("user_agent", "reason"),
    [
        (GMAIL, "Gmail's image proxy"),
        (GMAIL.replace(" GoogleImageProxy", ""), "Gmail's image proxy"),
        (YAHOO, "Yahoo's image proxy"),
        (FASTMAIL, "Fastmail's image proxy"),
        ("Mozilla/5.0 (compatible; SeznamEmailProxy/2.0.176)", "Seznam's image proxy"),
    ],
)
def test_a_mail_proxy_is_no_bot_whatever_bot_lists_say(user_agent, reason, is_open):
    """Gmail's proxy dropped as a bot, so Gmail opens are lost (mautic #16069)."""
    assert classify(user_agent, is_open=is_open) == Verdict(Label.PROXY, reason)


@pytest.mark.parametrize("user_agent", [GMAIL, YAHOO, FASTMAIL])
def test_the_bot_list_names_mail_proxies(user_agent):
    """Otherwise the test before this one shows nothing."""
    assert bot_name(user_agent)


def test_mail_that_apple_opens_is_a_class_of_its_own():
    """Apple Mail Privacy Protection opens mail that nobody read (kannon #412)."""
    label, reason = classify(APPLE, is_open=True)
    assert label == Label.PREFETCH
    assert reason.startswith("Apple Mail Privacy Protection")


@pytest.mark.parametrize("user_agent", [f"{APPLE} ", f"{APPLE} (X11)", APPLE.lower(), APPLE[:-1]])
def test_apple_says_exactly_that(user_agent):
    assert classify(user_agent, is_open=True) == Verdict(Label.HUMAN, "")


def test_apple_follows_no_links():
    assert classify(APPLE) == Verdict(Label.HUMAN, "")


@pytest.mark.parametrize(("user_agent", "name"), BOTS.items())
def test_bots(user_agent, name):
    assert classify(user_agent) == Verdict(Label.BOT, f"calls itself {name}")


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people(user_agent, is_open):
    """Over-filtering erases real opens."""
    assert classify(user_agent, is_open=is_open) == Verdict(Label.HUMAN, "")


@pytest.mark.parametrize("user_agent", ["", "  "])
def test_who_says_nothing_may_be_somebody(user_agent):
    assert classify(user_agent, is_open=True) == Verdict(Label.HUMAN, "no user agent")


def test_a_verdict_is_reached_once():
    assert classify(GMAIL) is classify(GMAIL)


@pytest.mark.parametrize(
    ("label", "expected"),
    [("human", True), ("bot", True), ("proxy", False), ("prefetch", False), (Label.PROXY, False)],
)
def test_a_mail_proxy_has_neither_place_nor_device(label, expected):
    """Gmail's proxy hides the client (gophish #1390, pytracking #24)."""
    assert describes_reader(label) is expected


@given(
    st.text(st.characters(), max_size=50)
    | st.lists(st.sampled_from([*BOTS, GMAIL, APPLE, "ContextualBot", "outcomes.net", "\n"]))
    .map("".join),
    st.booleans(),
)  # fmt: skip
def test_no_text_breaks_a_verdict(user_agent, is_open):
    label, reason = classify(user_agent, is_open=is_open)
    assert label in Label
    assert len(reason) <= 200
    assert "\n" not in reason
