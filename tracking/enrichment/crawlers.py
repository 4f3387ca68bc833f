"""Names of crawlers, read from their user agent.

    >>> bot_name("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    'Googlebot'

The extra ``[bots]`` brings a list of crawlers (crawler-user-agents). Without it, the rules of this
module find the crawlers that call themselves one.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from tracking.enrichment.user_agents import CACHE_SIZE, MAX_LENGTH, NAME_LENGTH, printable


def bot_name(user_agent: str) -> str | None:
    """Return the name of a crawler, or ``None`` for other user agents. Never raises.

    The list of crawlers contains mail proxies too, through which people read mail.
    :data:`tracking.enrichment.verdict_rules.RULES` checks for those first.

    Args:
        user_agent: the header ``User-Agent``; 2,000 characters are read.

    Returns:
        The matching part of the user agent, such as ``"bingbot"``: one line of at most 100
        characters.
    """
    return _bot_name(user_agent[:MAX_LENGTH])


class _Chunk(NamedTuple):
    """Some patterns of the list, combined into one. Most user agents match none of them."""

    combined: re.Pattern[str]
    patterns: tuple[str, ...]


#: Patterns in a chunk. More make the regular expression slower, fewer make the loop longer.
_CHUNK_SIZE = 25

#: Patterns of crawler-user-agents (1.67) that match browsers of people, with a replacement if there
#: is one.
_TOO_WIDE = {
    # A build of Android 15 on phones of many makers; one was used by a scraper.
    r"AP3A\.240617\.008": None,
    # Turns a site into an application for macOS.
    "Fluid": None,
    # The in-app browser of Facebook.
    "MetaIAB Facebook": None,
    # Sogou makes browsers too: SogouMobileBrowser, SogouMSE.
    "Sogou": r"Sogou [\w ]*[sS]pider",
}

#: Crawlers that call themselves one. "Cubot" is a maker of phones, and a "Developer Preview" is a
#: browser of a person.
_OWN_RULES = re.compile(
    r"[\w.-]{0,40}(?<!\bcu)bot\b"
    r"|[\w.-]{0,40}(?:crawler|spider|slurp)\b"
    r"|(?:bing|google web|link|microsoft|url)[ -]?preview\b"
    r"|facebookexternalhit|headlesschrome|phantomjs|lighthouse"
    r"|^(?:curl|wget|python[\w-]*|go-http-client|libwww-perl|java)/"
    r"|\+https?://[\w.-]+",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=CACHE_SIZE)
def _bot_name(user_agent: str) -> str | None:
    text = printable(user_agent)
    chunks = _chunks()
    found = _match_list(text, chunks) if chunks else _OWN_RULES.search(text)
    return found and (found[0].strip(" /();:,+") or found[0])[:NAME_LENGTH]


def _match_list(text: str, chunks: tuple[_Chunk, ...]) -> re.Match[str] | None:
    for combined, patterns in chunks:
        if combined.search(text):
            # Finding the pattern takes longer, but only for crawlers.
            return next(filter(None, (re.search(pattern, text) for pattern in patterns)), None)
    return None


@lru_cache(maxsize=1)
def _chunks() -> tuple[_Chunk, ...]:
    """Return the list of crawlers, or ``()`` if it is not installed.

    To find the matching pattern, the package's own functions compile all 1,500 again.
    """
    try:
        from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # noqa: PLC0415 - an extra
    except ImportError:
        return ()
    listed = (entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA)
    patterns = [wanted for pattern in listed if (wanted := _TOO_WIDE.get(pattern, pattern))]
    return tuple(
        _Chunk(re.compile("|".join(part)), tuple(part))
        for part in (
            patterns[start : start + _CHUNK_SIZE] for start in range(0, len(patterns), _CHUNK_SIZE)
        )
    )
