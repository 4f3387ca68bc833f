import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agents import BOTS, LIKE_MACHINES, MACHINES, PEOPLE
from tracking.enrichment.ai_agents import AI_AGENTS, AgentClass
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


@pytest.mark.parametrize("is_page", [True, False])
@pytest.mark.parametrize("user_agent", MACHINES)
def test_programs_that_name_themselves_are_machines_with_the_list_too(user_agent, is_page):
    """The list of crawlers replaced our own rules."""
    assert classify(user_agent, is_page=is_page).label == Label.BOT


@pytest.mark.parametrize("user_agent", LIKE_MACHINES)
def test_a_listed_word_in_a_model_or_in_another_word_is_no_bot(user_agent):
    assert classify(user_agent, is_page=True) == Verdict(Label.HUMAN, "")
    assert bot_name(user_agent) is None


@pytest.mark.parametrize(
    "user_agent", ["Lynx/2.9.0", "w3m/0.5.3", "Links (2.29; Linux)", "ELinks/0.17", "NetSurf/3.11",
                   "Dillo/3.1", "Opera/9.80 (X11)", "Mozilla/5.0 (X11)"],
)  # fmt: skip
def test_browsers_that_visit_a_page(user_agent):
    assert classify(user_agent, is_page=True) == Verdict(Label.HUMAN, "")


@pytest.mark.parametrize("user_agent", ["MyApp/1.0", "okay", "CFNetwork/1490 Darwin/23.2"])
def test_a_page_is_read_with_a_browser_and_mail_with_any_program(user_agent):
    reason = "its user agent is not that of a browser"
    assert classify(user_agent, is_page=True) == Verdict(Label.BOT, reason)
    assert classify(user_agent, is_open=True).label == Label.HUMAN
    assert classify(user_agent).label == Label.HUMAN


@pytest.mark.parametrize(("agent_class", "name", "source"), AI_AGENTS)
def test_agents_of_ai_services_are_bots_of_their_class(agent_class, name, source):
    reasons = {
        AgentClass.TRAINING: "collects texts to train AI: ",
        AgentClass.SEARCH: "crawls for an AI search: ",
        AgentClass.ASSISTANT: "an AI assistant that fetches for a person: ",
    }
    found = classify(f"Mozilla/5.0 (compatible; {name}/1.0; +https://ai.example/bot)")
    assert found == Verdict(Label.BOT, reasons[agent_class] + name)
    assert source.startswith("https://")
    assert classify(f"Mozilla/5.0 (compatible; X{name}/1.0)").reason != found.reason


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
