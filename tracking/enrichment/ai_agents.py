"""Agents of AI services: crawlers for training, crawlers for search, and assistants.

    >>> ai_agent_name("Mozilla/5.0 (compatible; GPTBot/1.2)", AgentClass.TRAINING)
    'GPTBot'

An assistant fetches a page because a person asked it to. It is a machine in all counts; the person
who then follows its link comes with a browser.
"""

import re
from enum import Enum
from functools import cache


class AgentClass(Enum):
    """What an AI service fetches pages for."""

    TRAINING = "training"
    SEARCH = "search"
    ASSISTANT = "assistant"


#: The class of each agent, its name in the user agent, and where its owner says so.
AI_AGENTS: tuple[tuple[AgentClass, str, str], ...] = (
    (AgentClass.TRAINING, "GPTBot", "https://platform.openai.com/docs/bots"),
    (AgentClass.SEARCH, "OAI-SearchBot", "https://platform.openai.com/docs/bots"),
    (AgentClass.ASSISTANT, "ChatGPT-User", "https://platform.openai.com/docs/bots"),
    (AgentClass.TRAINING, "ClaudeBot", "https://support.claude.com/en/articles/8896518"),
    (AgentClass.SEARCH, "Claude-SearchBot", "https://support.claude.com/en/articles/8896518"),
    (AgentClass.ASSISTANT, "Claude-User", "https://support.claude.com/en/articles/8896518"),
    (AgentClass.SEARCH, "PerplexityBot", "https://docs.perplexity.ai/guides/bots"),
    (AgentClass.ASSISTANT, "Perplexity-User", "https://docs.perplexity.ai/guides/bots"),
    (
        AgentClass.TRAINING,
        "meta-externalagent",
        "https://developers.facebook.com/docs/sharing/webmasters/web-crawlers",
    ),
    (
        AgentClass.SEARCH,
        "meta-webindexer",
        "https://developers.facebook.com/docs/sharing/webmasters/web-crawlers",
    ),
    (
        AgentClass.ASSISTANT,
        "meta-externalfetcher",
        "https://developers.facebook.com/docs/sharing/webmasters/web-crawlers",
    ),
    (AgentClass.TRAINING, "Amazonbot", "https://developer.amazon.com/amazonbot"),
    (AgentClass.SEARCH, "Amzn-SearchBot", "https://developer.amazon.com/amazonbot"),
    (AgentClass.ASSISTANT, "Amzn-User", "https://developer.amazon.com/amazonbot"),
    (AgentClass.ASSISTANT, "MistralAI-User", "https://docs.mistral.ai/robots"),
    (
        AgentClass.ASSISTANT,
        "DuckAssistBot",
        "https://duckduckgo.com/duckduckgo-help-pages/results/duckassistbot",
    ),
    (
        AgentClass.ASSISTANT,
        "Google-NotebookLM",
        "https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers",
    ),
    (AgentClass.TRAINING, "CCBot", "https://commoncrawl.org/ccbot"),
    (AgentClass.TRAINING, "AI2Bot", "https://allenai.org/crawler"),
)


def ai_agent_name(user_agent: str, agent_class: AgentClass) -> str | None:
    """Return the name of an AI agent of a class, or ``None`` for other user agents.

    Args:
        user_agent: the header ``User-Agent``.
        agent_class: the class to look for.
    """
    found = _pattern(agent_class).search(user_agent)
    return found and found[0]


@cache
def _pattern(agent_class: AgentClass) -> re.Pattern[str]:
    names = (re.escape(name) for of_class, name, _source in AI_AGENTS if of_class is agent_class)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-])", re.IGNORECASE | re.ASCII)
