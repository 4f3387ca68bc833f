"""Names of crawlers, read from their user agent.

    >>> bot_name("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    'Googlebot'

The rules of this module find the programs that name themselves. The extra ``[bots]`` adds a list of
crawlers (crawler-user-agents).
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
    # The desktop application of Slack says so at its end.
    "Sonic": r"Sonic(?! Slack_SSB)",
    # The in-app browser of Viber, too; its previews say nothing else.
    "Viber": r"^Viber",
}

#: "compatible", another name than that of a browser, and an address of its owner.
_WITH_ADDRESS = re.compile(
    r"(?<=\bcompatible; )(?!MSIE|Konqueror|iCab|OmniWeb)[\w .!-]{1,40}"
    r"(?=[/;,][^()]{0,200}(?:://|\w@\w))",
    re.ASCII,
)

#: Programs that name themselves, in any user agent. "Cubot" is a maker of phones, and a "Developer
#: Preview" is a browser of a person.
_OWN_RULES = re.compile(
    r"(?<![\w.-])[\w.-]{0,100}(?:(?<!\bcu)bot|crawler|spider|slurp|scraper|fetcher|pinger|archiver"
    r"|health[ -]?check(?:er)?)\b"
    r"|(?:bing|google web|link|microsoft|url)[ -]?preview\b"
    r"|facebookexternalhit|headlesschrome|phantomjs|lighthouse|feedfetcher-google"
    r"|microsoft office existence discovery|barracuda sentinel"
    # Previews of WhatsApp, and of Signal, which says the same. In-app browsers say Mozilla first.
    r"|^whatsapp(?=/\d)"
    # The whole name of a library or a service, at the start.
    r"|^(?:apache-httpclient|axios|bun|curl|deno|googlehc|go-http-client|guzzlehttp|httpie"
    r"|insomnia|java|kube-probe|libwww-perl|node|node-fetch|php|postmanruntime|python[\w-]*"
    r"|reqwest|restsharp|ruby|undici|viber|wget)(?![\w.-])"
    r"|\+https?://[\w.-]+",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=CACHE_SIZE)
def _bot_name(user_agent: str) -> str | None:
    text = _without_model(printable(user_agent))
    found = (
        _match_list(text, _chunks(text.startswith(BROWSER)))
        or _OWN_RULES.search(text)
        or _WITH_ADDRESS.search(text)
    )
    return found and (found[0].strip(" /();:,+") or found[0])[:NAME_LENGTH]


#: How browsers begin: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/User-Agent
BROWSER = "Mozilla/"

#: The system of a browser on Android: ``(Linux; Android 9; Spider 8 Build/PPR1)``.
_ANDROID = re.compile(r"\([^()]*\bAndroid\b[^()]*(?:\([^()]*\)[^()]*)*\)")

#: A program among the parts of a system: ``AhrefsBot/7.0``, ``compatible``, an address.
_PROGRAM = re.compile(r"compatible|://|(?<!cu)(?:bot|crawler|spider)[\w-]*/\d", re.IGNORECASE)


def _without_model(user_agent: str) -> str:
    """Return a user agent without the model of an Android device.

    Models have any name: ``M bot 51``, ``Spider 8``, ``ViewSonic_V55``.
    """
    if not user_agent.startswith(BROWSER):
        return user_agent
    found = _ANDROID.search(user_agent)
    if found is None or _PROGRAM.search(found[0]):
        return user_agent
    return f"{user_agent[: found.start()]}(Android){user_agent[found.end() :]}"


def _match_list(text: str, chunks: tuple[_Chunk, ...]) -> re.Match[str] | None:
    for combined, patterns in chunks:
        if combined.search(text):
            # Finding the pattern takes longer, but only for crawlers.
            for pattern in patterns:
                if found := re.search(pattern, text):
                    return found
    return None


#: A match that begins or ends with a letter is not part of a longer word.
_WORD_BEGINS, _WORD_ENDS = r"(?:(?<![A-Za-z0-9])|(?![A-Za-z0-9]))", r"(?:(?<![A-Za-z])|(?![a-z]))"


@lru_cache(maxsize=2)
def _chunks(of_browsers: bool) -> tuple[_Chunk, ...]:
    """Return the list of crawlers, or ``()`` if it is not installed.

    To find the matching pattern, the package's own functions compile all 1,500 again.

    Args:
        of_browsers: whether the patterns are for user agents that begin as browsers do. There, a
            listed word inside a longer word is not that crawler.
    """
    try:
        from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # noqa: PLC0415 - an extra
    except ImportError:
        return ()
    listed = (entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA)
    patterns = [wanted for pattern in listed if (wanted := _TOO_WIDE.get(pattern, pattern))]
    begins, ends = (_WORD_BEGINS, _WORD_ENDS) if of_browsers else ("", "")
    # The combined pattern has no word boundaries: they make it forty times slower.
    return tuple(
        _Chunk(re.compile("|".join(part)), tuple(f"{begins}(?:{one}){ends}" for one in part))
        for part in (
            patterns[start : start + _CHUNK_SIZE] for start in range(0, len(patterns), _CHUNK_SIZE)
        )
    )
