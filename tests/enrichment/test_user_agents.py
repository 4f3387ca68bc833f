import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agents import BOTS, PEOPLE
from tracking.enrichment import crawlers, user_agents
from tracking.enrichment.crawlers import bot_name
from tracking.enrichment.user_agents import Agent, identify


@pytest.fixture
def no_extras(monkeypatch):
    """As if the extra [bots] were not installed."""
    forget()
    for name in ("ua_parser", "crawleruseragents"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    forget()


def forget():
    for cached in (user_agents._identify, crawlers._bot_name, crawlers._chunks):
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
    assert missed <= set(crawlers._TOO_WIDE) - {"Sogou"}


def test_without_the_parser_an_agent_is_blank(no_extras):
    assert {identify(user_agent) for user_agent in PEOPLE} == {Agent()}


@pytest.mark.parametrize(
    "system",
    ["Linux; Android 9; AFTMM", "Linux; Android 11; BRAVIA VH1", "SMART-TV; Linux; Tizen 6.0",
     "Web0S; Linux/SmartTV", "Roku; DVP-14.0", "Linux; Android 12; Apple TV", "X11; HbbTV/1.5.1"],
)  # fmt: skip
def test_a_tv_is_a_tv(system):
    """Fire TVs were taken for phones and tablets."""
    agent = f"Mozilla/5.0 ({system}) AppleWebKit/537.36 Chrome/108.0 Mobile Safari/537.36"
    assert identify(agent).device == "tv"


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
    for function in (user_agents._identify, crawlers._bot_name):
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
    found = crawlers._OWN_RULES.search(user_agents.printable(user_agent))
    assert found is None or found[0]
