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
    """Return what the crawler behind ``user_agent`` is called, or ``None``. Never raises.

    The list also names proxies by which a person reads mail:
    :func:`tracking.enrichment.verdict_rules.classify` asks for those first.

    Args:
        user_agent: the header ``User-Agent``, of which 2,000 characters are read.

    Returns:
        The part of the agent that gave it away, such as ``"bingbot"``: 100 characters or
        fewer, in one line.
    """
    return _bot_name(user_agent[:MAX_LENGTH])


class _Chunk(NamedTuple):
    """Some patterns of the list: asked together first, as nearly no agent is in it."""

    together: re.Pattern[str]
    each: tuple[str, ...]


#: Patterns in a chunk. More make a regular expression slower, fewer make a longer loop.
_CHUNK_SIZE = 25

#: Patterns of crawler-user-agents (1.67) that take people for crawlers, and what is looked
#: for in their place, if anything.
_TOO_WIDE = {
    # A build of Android 15 that many makers ship, seen once on the phone of a scraper.
    r"AP3A\.240617\.008": None,
    # Makes an application for macOS out of a site.
    "Fluid": None,
    # "In-app browser": where links of Facebook open.
    "MetaIAB Facebook": None,
    # A maker of browsers too: SogouMobileBrowser, SogouMSE.
    "Sogou": r"Sogou [\w ]*[sS]pider",
}

#: What the list is not needed for, in words of their own. "Cubot" is a maker of phones, and
#: a browser that is a "Developer Preview" is read by a person.
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
    found = _listed(text, chunks) if chunks else _OWN_RULES.search(text)
    return found and (found[0].strip(" /();:,+") or found[0])[:NAME_LENGTH]


def _listed(text: str, chunks: tuple[_Chunk, ...]) -> re.Match[str] | None:
    for together, each in chunks:
        if together.search(text):
            # Which one it was costs more to ask for, but only ever of crawlers.
            return next(filter(None, (re.search(pattern, text) for pattern in each)), None)
    return None


@lru_cache(maxsize=1)
def _chunks() -> tuple[_Chunk, ...]:
    """Return the list of crawlers, or ``()`` where it is not installed.

    The package's own functions tell which pattern it was by compiling all 1,500 anew.
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
