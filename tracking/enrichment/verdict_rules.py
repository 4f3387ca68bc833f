"""Verdicts: whether a human, a mail proxy, a prefetch or a bot sent a hit.

>>> classify("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
Verdict(label=Label.BOT, reason='calls itself Googlebot')
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from tracking.enrichment import user_agents
from tracking.enrichment.ai_agents import AgentClass, ai_agent_name
from tracking.enrichment.crawlers import BROWSER, bot_name


class Label(TextChoices):
    """Who sent a hit."""

    HUMAN = "human", _("Human")  # no sign of a machine
    PROXY = "proxy", _("Mail proxy")  # a mail provider fetched it when a person opened the mail
    PREFETCH = "prefetch", _("Prefetch")  # a machine, whether or not a person ever looks
    BOT = "bot", _("Bot")


class Verdict(NamedTuple):
    """Who sent a hit, and why we think so."""

    label: Label
    #: In English, at most 200 characters; ``""`` for a human.
    #: :func:`tracking.enrichment.verdict_reasons.translate_reason` translates it for the reader.
    reason: str


class Rule(NamedTuple):
    """A rule that decides who sent a hit."""

    label: Label
    #: In English, marked for translation. ``%s`` stands for the text that ``match`` returns.
    reason: str
    #: Takes the user agent, and whether an image in a mail was loaded. Returns a true value if the
    #: rule applies.
    match: Callable[[str, bool], object]
    #: Whether the rule is for pages alone, not for mail: mail programs are no browsers.
    of_pages: bool = False


def _is_ai(agent_class: AgentClass) -> Callable[[str, bool], str | None]:
    return lambda user_agent, _is_open: ai_agent_name(user_agent, agent_class)


def _is_no_browser(user_agent: str, _is_open: bool) -> bool:
    return not (user_agent.startswith((BROWSER, "Opera/")) or _TEXT_BROWSERS.match(user_agent))


#: Browsers that do not begin as the others do.
_TEXT_BROWSERS = re.compile(
    r"(?:Lynx|w3m|E?Links|NetSurf|Dillo|browsh|edbrowse|Emacs-w3m|Offpunk|retawq|Amaya|Konqueror|Midori|Uzbl)\b",
    re.IGNORECASE,
)


def _contains(mark: str) -> Callable[[str, bool], bool]:
    return lambda user_agent, _is_open: mark in user_agent


#: The whole user agent of Apple Mail Privacy Protection. Its addresses prove nothing: people who
#: browse with Private Relay have the same ones.
_APPLE = "Mozilla/5.0"

#: The rules in order: the first that applies decides. If none does, the sender is human.
#: To add a rule, add a line here.
RULES = (
    Rule(Label.HUMAN, gettext_noop("no user agent"), lambda agent, _is_open: not agent.strip()),
    # Mail providers fetch images for their readers. Lists of crawlers name these proxies too, so
    # they come first. Fastmail: https://www.fastmail.com/policies/bots/
    Rule(Label.PROXY, gettext_noop("Gmail's image proxy"), _contains("GoogleImageProxy")),
    Rule(Label.PROXY, gettext_noop("Gmail's image proxy"), _contains("ggpht.com")),
    Rule(Label.PROXY, gettext_noop("Yahoo's image proxy"), _contains("YahooMailProxy")),
    Rule(Label.PROXY, gettext_noop("Fastmail's image proxy"), _contains("FastmailUA")),
    Rule(Label.PROXY, gettext_noop("Seznam's image proxy"), _contains("SeznamEmailProxy")),
    Rule(
        Label.PREFETCH,
        gettext_noop("Apple Mail Privacy Protection loads images whether or not the mail is read"),
        lambda agent, is_open: is_open and agent == _APPLE,
    ),
    # AI agents are bots, each class with a reason of its own.
    Rule(Label.BOT, gettext_noop("collects texts to train AI: %s"), _is_ai(AgentClass.TRAINING)),
    Rule(Label.BOT, gettext_noop("crawls for an AI search: %s"), _is_ai(AgentClass.SEARCH)),
    Rule(
        Label.BOT,
        gettext_noop("an AI assistant that fetches for a person: %s"),
        _is_ai(AgentClass.ASSISTANT),
    ),
    Rule(Label.BOT, gettext_noop("calls itself %s"), lambda agent, _is_open: bot_name(agent)),
    Rule(
        Label.BOT,
        gettext_noop("its user agent is not that of a browser"),
        _is_no_browser,
        of_pages=True,
    ),
)

#: Reasons for what a mail provider reports: it did not tell who it was, or that it was a machine.
BY_PROVIDER = gettext_noop("reported by the mail provider, without a user agent")
MACHINE_BY_PROVIDER = gettext_noop("the mail provider says that a machine loaded the image")

_HUMAN = Verdict(Label.HUMAN, "")

#: Labels of hits whose address and user agent are those of a machine, not of the reader.
NOT_THE_READERS = frozenset({Label.PROXY, Label.PREFETCH})


def classify(user_agent: str, *, is_open: bool = False, is_page: bool = False) -> Verdict:
    """Return who sent a hit: a human, a mail proxy, a prefetch or a bot.

    In doubt it is a human. A bot counted as a human makes a number slightly too high, and can
    still be found by its behaviour. A reader counted as a bot is lost: filters that took mail
    proxies for bots have erased every open of Gmail (mautic #16069).

    Args:
        user_agent: the header ``User-Agent``; 2,000 characters are read.
        is_open: whether an image in a mail was loaded. Apple's protection loads images, but
            follows no links.
        is_page: whether a page was visited. All browsers begin with ``Mozilla/`` or ``Opera/``,
            but for a few text browsers; mail programs do not.
    """
    return _classify(user_agent[: user_agents.MAX_LENGTH], is_open, is_page)


@lru_cache(maxsize=user_agents.CACHE_SIZE)
def _classify(user_agent: str, is_open: bool, is_page: bool) -> Verdict:
    for rule in RULES:
        if rule.of_pages and not is_page:
            continue
        if found := rule.match(user_agent, is_open):
            return Verdict(rule.label, rule.reason.replace("%s", str(found)))
    return _HUMAN


def describes_reader(label: str) -> bool:
    """Return whether address and user agent of a hit are those of the reader.

    A mail proxy hides the place and the device of its reader.

    Args:
        label: the verdict on the hit.
    """
    return label not in NOT_THE_READERS
