"""What a referrer says: which site led here, in one spelling, and through which channel.

    >>> origin("https://www.google.com:443/search?q=tea")
    Origin(source='Google', channel='search')
    >>> origin("https://blog.example./tea")
    Origin(source='blog.example', channel='referral')
    >>> origin("about:blank").channel
    'direct'
    >>> Referrer.of("https://www.shop.example/", "shop.example")
    Referrer(url='', is_internal=True)
    >>> Referrer.of("https://me:secret@WWW.Blog.example:443/tea#2", "shop.example").url
    'https://www.blog.example/tea'

Facts: a ``Referer`` is a URI without fragment and userinfo (RFC 9110, section 10.1.3), but a
client sends what it likes. Android apps name themselves ``android-app://`` and their package.
"""

from functools import lru_cache
from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.db.models import TextChoices
from django.http.request import validate_host
from django.utils.translation import gettext_lazy as _

from tracking.conf import until_settings_change


class Channel(TextChoices):
    """How a visitor came to the site."""

    DIRECT = "direct", _("Direct")  # no referrer, or one that is no URL
    INTERNAL = "internal", _("Internal")  # another page of this site
    SEARCH = "search", _("Search engine")
    SOCIAL = "social", _("Social")
    MAIL = "mail", _("Mail")  # webmail
    ASSISTANT = "assistant", _("AI assistant")
    REFERRAL = "referral", _("Other sites")


class Origin(NamedTuple):
    """Where a visitor came from.

    Attributes:
        source: the name of a well-known site, else its host; ``""`` for direct visits.
        channel: one of :class:`Channel`.
    """

    source: str
    channel: str


#: Well-known sites: channel, name and hosts. A host stands for its subdomains too; ``google.*``
#: stands for the host under any public suffix of one or two labels. Hosts as their owners
#: document them, or as they are seen in the ``Referer`` of links (t.co, lm.facebook.com).
SITES: tuple[tuple[Channel, str, tuple[str, ...]], ...] = (
    (Channel.MAIL, "Gmail", ("mail.google.com", "com.google.android.gm")),
    (Channel.MAIL, "Outlook", ("outlook.live.com", "outlook.office.com", "outlook.office365.com")),
    (Channel.MAIL, "Yahoo Mail", ("mail.yahoo.com", "com.yahoo.mobile.client.android.mail")),
    (Channel.MAIL, "GMX", ("gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch")),
    (Channel.MAIL, "WEB.DE", ("web.de",)),
    (Channel.MAIL, "Proton Mail", ("mail.proton.me",)),
    (Channel.MAIL, "Fastmail", ("fastmail.com",)),
    (Channel.MAIL, "AOL Mail", ("mail.aol.com",)),
    (Channel.MAIL, "iCloud Mail", ("icloud.com",)),
    (Channel.MAIL, "Zoho Mail", ("mail.zoho.com", "mail.zoho.eu")),
    (Channel.MAIL, "Mail.ru", ("e.mail.ru",)),
    (Channel.MAIL, "T-Online", ("email.t-online.de",)),
    (Channel.ASSISTANT, "ChatGPT", ("chatgpt.com", "chat.openai.com", "com.openai.chatgpt")),
    (Channel.ASSISTANT, "Claude", ("claude.ai", "com.anthropic.claude")),
    (Channel.ASSISTANT, "Gemini", ("gemini.google.com", "bard.google.com")),
    (Channel.ASSISTANT, "Copilot", ("copilot.microsoft.com", "copilot.cloud.microsoft")),
    (Channel.ASSISTANT, "Perplexity", ("perplexity.ai", "ai.perplexity.app.android")),
    (Channel.ASSISTANT, "Le Chat", ("chat.mistral.ai",)),
    (Channel.ASSISTANT, "DeepSeek", ("chat.deepseek.com",)),
    (Channel.ASSISTANT, "Grok", ("grok.com",)),
    (Channel.ASSISTANT, "Meta AI", ("meta.ai",)),
    (Channel.ASSISTANT, "You.com", ("you.com",)),
    (Channel.ASSISTANT, "Phind", ("phind.com",)),
    (Channel.ASSISTANT, "Poe", ("poe.com",)),
    (Channel.SEARCH, "Google", ("google.*", "com.google.android.googlequicksearchbox")),
    (Channel.SEARCH, "Bing", ("bing.com",)),
    (Channel.SEARCH, "DuckDuckGo", ("duckduckgo.com", "com.duckduckgo.mobile.android")),
    (Channel.SEARCH, "Yahoo", ("search.yahoo.com", "yahoo.*", "search.yahoo.co.jp")),
    (Channel.SEARCH, "Yandex", ("yandex.*", "ya.ru")),
    (Channel.SEARCH, "Baidu", ("baidu.com",)),
    (Channel.SEARCH, "Ecosia", ("ecosia.org",)),
    (Channel.SEARCH, "Startpage", ("startpage.com",)),
    (Channel.SEARCH, "Qwant", ("qwant.com",)),
    (Channel.SEARCH, "Brave Search", ("search.brave.com",)),
    (Channel.SEARCH, "Kagi", ("kagi.com",)),
    (Channel.SEARCH, "Mojeek", ("mojeek.com",)),
    (Channel.SEARCH, "Swisscows", ("swisscows.com",)),
    (Channel.SEARCH, "MetaGer", ("metager.de", "metager.org")),
    (Channel.SEARCH, "Seznam", ("search.seznam.cz",)),
    (Channel.SEARCH, "Naver", ("search.naver.com",)),
    (Channel.SEARCH, "Sogou", ("sogou.com",)),
    (Channel.SEARCH, "AOL", ("search.aol.com",)),
    (Channel.SOCIAL, "Facebook", ("facebook.com", "fb.com", "fb.me", "com.facebook.katana")),
    (Channel.SOCIAL, "Instagram", ("instagram.com", "com.instagram.android")),
    (Channel.SOCIAL, "Threads", ("threads.net", "threads.com")),
    (Channel.SOCIAL, "X", ("t.co", "x.com", "twitter.com", "com.twitter.android")),
    (Channel.SOCIAL, "LinkedIn", ("linkedin.com", "lnkd.in", "com.linkedin.android")),
    (Channel.SOCIAL, "Reddit", ("reddit.com", "redd.it", "com.reddit.frontpage")),
    (Channel.SOCIAL, "YouTube", ("youtube.com", "youtu.be", "com.google.android.youtube")),
    (Channel.SOCIAL, "Pinterest", ("pinterest.*", "pin.it", "com.pinterest")),
    (Channel.SOCIAL, "TikTok", ("tiktok.com",)),
    (
        Channel.SOCIAL,
        "Mastodon",
        ("mastodon.social", "mastodon.online", "org.joinmastodon.android"),
    ),
    (Channel.SOCIAL, "Bluesky", ("bsky.app", "go.bsky.app", "xyz.blueskyweb.app")),
    (Channel.SOCIAL, "XING", ("xing.com",)),
    (Channel.SOCIAL, "VK", ("vk.com", "away.vk.com")),
    (Channel.SOCIAL, "Telegram", ("t.me", "web.telegram.org", "org.telegram.messenger")),
    (Channel.SOCIAL, "WhatsApp", ("whatsapp.com", "wa.me", "com.whatsapp")),
    (Channel.SOCIAL, "Discord", ("discord.com",)),
    (Channel.SOCIAL, "Slack", ("slack.com", "com.slack")),
    (Channel.SOCIAL, "Hacker News", ("news.ycombinator.com", "io.github.hidroh.materialistic")),
    (Channel.SOCIAL, "Lobsters", ("lobste.rs",)),
    (Channel.SOCIAL, "Tumblr", ("tumblr.com",)),
    (Channel.SOCIAL, "Quora", ("quora.com",)),
    (Channel.SOCIAL, "Weibo", ("weibo.com", "weibo.cn")),
    (Channel.SOCIAL, "Snapchat", ("snapchat.com",)),
)

_BY_NAME = {_site: Origin(_site, _channel.value) for _channel, _site, _hosts in SITES}
_BY_HOST: dict[str, Origin] = {}
#: Those under any public suffix, by the label before it.
_BY_LABEL: dict[str, Origin] = {}
for _channel, _site, _hosts in SITES:
    for _host in _hosts:
        table = _BY_LABEL if _host.endswith(".*") else _BY_HOST
        table[_host.removesuffix(".*")] = _BY_NAME[_site]

#: Characters of the longest host name (RFC 1035, section 2.3.4).
_LONGEST_HOST = 253

_DIRECT = Origin("", Channel.DIRECT.value)
_INTERNAL = Origin("", Channel.INTERNAL.value)


def origin(referrer: str, *, is_internal: bool = False) -> Origin:
    """Return which site led here, and through which channel.

    Args:
        referrer: the ``Referer`` in any spelling, or ``""`` if no other site led here.
        is_internal: whether a page of this site did.
    """
    if is_internal:
        return _INTERNAL
    host = host_of(referrer)
    return (_known(host) or Origin(host, Channel.REFERRAL.value)) if host else _DIRECT


def source_named(text: str) -> Origin:
    """Return the source that has a name or a host.

    Args:
        text: the name of a well-known site, or a host with ``www.`` or without.
    """
    return _BY_NAME.get(text) or origin(f"https://{text}")


def host_of(url: str) -> str:
    """Return the host of a URL in one spelling, or ``""`` for what is no URL of a site or app.

    Lower case, without userinfo, ``www.``, port and trailing dot: ``https://u@WWW.X.example.:443/``
    is ``x.example``.

    Args:
        url: any text.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https", "android-app"} or len(host) > _LONGEST_HOST:
        return ""
    # Control characters and spaces are in no name: some would be cut off the next time it is read.
    return host.removeprefix("www.") if host.isprintable() and " " not in host else ""


@lru_cache(maxsize=4_000)
def _known(host: str) -> Origin | None:
    labels = host.split(".")
    for start, label in enumerate(labels):
        if found := _BY_HOST.get(".".join(labels[start:])):
            return found
        if label in _BY_LABEL and _is_public_suffix(labels[start + 1 :]):
            return _BY_LABEL[label]
    return None


#: Second labels of public suffixes that countries use: google.co.uk, google.com.br.
_SECOND_LABELS = frozenset({"co", "com", "ne", "or", "org", "net"})


def _is_public_suffix(labels: list[str]) -> bool:
    if len(labels) == 2:  # noqa: PLR2004
        return labels[0] in _SECOND_LABELS and len(labels[1]) == 2  # noqa: PLR2004
    return len(labels) == 1


# What is recorded of a referrer.


class Referrer(NamedTuple):
    """What is recorded of a ``Referer``.

    Attributes:
        url: the URL in one spelling, or ``""`` if no other site led here.
        is_internal: whether a page of this site led here.
    """

    url: str
    is_internal: bool = False

    @classmethod
    def of(cls, referrer: str, host: str) -> Self:
        """Read a ``Referer``. A text that is no URL (``about:blank``) names no site.

        The site's hosts are ``host`` and those of ``ALLOWED_HOSTS``, each with ``www.`` and
        without.

        Args:
            referrer: the header as text.
            host: the host of the request, with its port if it has one.
        """
        if not referrer:
            return cls("")
        read = _read if len(referrer) <= _USUAL_REFERRER else _read.__wrapped__
        return cls(*read(referrer, host))


#: Characters of the longest referrer that is remembered: clients write what they like.
_USUAL_REFERRER = 200


@until_settings_change
@lru_cache(maxsize=4_000)
def _read(referrer: str, host: str) -> tuple[str, bool]:
    came_from = host_of(referrer)
    if not came_from:
        return "", False
    try:
        parts = urlsplit(referrer.strip())
        here = urlsplit(f"{parts.scheme}://{host}")
        port = _port(parts)
        if port == _port(here) and came_from == host_of(f"http://{host}"):
            return "", True
    except ValueError:
        return "", False
    own_hosts = [own for own in settings.ALLOWED_HOSTS if own != "*"]
    if port is None and (
        validate_host(came_from, own_hosts) or validate_host(f"www.{came_from}", own_hosts)
    ):
        return "", True
    return _spelling(parts), False


def spelled(referrer: str) -> str:
    """Return a ``Referer`` of any site in one spelling, or ``""`` if it is no URL.

    Args:
        referrer: the header as text.
    """
    if not referrer:
        return ""
    return (_spelled if len(referrer) <= _USUAL_REFERRER else _spelled.__wrapped__)(referrer)


@lru_cache(maxsize=4_000)
def _spelled(referrer: str) -> str:
    try:
        return _spelling(urlsplit(referrer.strip())) if host_of(referrer) else ""
    except ValueError:
        return ""


def _spelling(parts: SplitResult) -> str:
    """Return a URL without userinfo, fragment and the usual port, its host in small letters.

    Raises:
        ValueError: its port is none.
    """
    name, port = (parts.hostname or "").rstrip("."), _port(parts)
    name = f"[{name}]" if ":" in name else name
    netloc = name if port is None else f"{name}:{port}"
    # Without the fragment, a space may be at the end.
    query = parts.query.rstrip()
    path = parts.path if query else parts.path.rstrip()
    return parts._replace(netloc=netloc, path=path, query=query, fragment="").geturl()


def _port(parts: SplitResult) -> int | None:
    """Return the port; the usual one of the scheme is ``None``."""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return None if parts.port == usual else parts.port
