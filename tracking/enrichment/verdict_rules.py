"""Whether a request is somebody looking, and if not, why not."""

from functools import lru_cache
from typing import NamedTuple

from django.db.models import TextChoices
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from tracking.enrichment import user_agents


class Label(TextChoices):
    """What is thought of the sender of a hit."""

    HUMAN = "human", _("Human")  # nothing tells of a machine
    PROXY = "proxy", _("Mail proxy")  # a person looked, and a mail provider fetched it
    PREFETCH = "prefetch", _("Prefetch")  # a machine, whether or not a person ever looks
    BOT = "bot", _("Bot")


#: Headers by which a client says that nobody has asked for this page yet.
#: ``Sec-Purpose`` is the standard (Fetch, section "Sec-Purpose"); the others are what
#: Chromium, WebKit and Gecko sent before it, and some still do.
_PURPOSE_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_SPECULATIVE = frozenset({"prefetch", "prerender", "preview"})

#: The same headers as WSGI and Django's ASGI handler name them in ``request.META``.
_META_KEYS = tuple((name, "HTTP_" + name.upper().replace("-", "_")) for name in _PURPOSE_HEADERS)


def uncounted(request: HttpRequest) -> str | None:
    """Return why ``request`` must not be counted, or ``None`` if it may be.

    Such a request is answered as any other: it is not an open or a click, but whoever
    sends it must not notice a difference.

    Args:
        request: the request as Django hands it to a view.

    Returns:
        A short reason in English, for logs: the method, or the header that says so.
    """
    if request.method != "GET":
        return f"method {request.method}"
    for name, key in _META_KEYS:
        value = request.META.get(key)
        # "prefetch;prerender" and "prefetch;anonymous-client-ip" are prefetches too.
        if value and value.partition(";")[0].strip().lower() in _SPECULATIVE:
            return f"{name}: {value}"
    return None


class Verdict(NamedTuple):
    """What is thought of the sender of a hit, and why."""

    label: Label
    #: In English, 200 characters or fewer; ``""`` where there is nothing to say.
    #: :func:`in_words` says it in the language of who is looking.
    reason: str


#: What mail providers call the machines that fetch the images of a mail for its reader, and
#: whose they are. Lists of crawlers name them too, so this table comes first.
#: Fastmail: https://www.fastmail.com/policies/bots/ (images, when a mail is opened).
_MAIL_PROXIES = (
    ("GoogleImageProxy", gettext_noop("Gmail's image proxy")),
    ("ggpht.com", gettext_noop("Gmail's image proxy")),
    ("YahooMailProxy", gettext_noop("Yahoo's image proxy")),
    ("FastmailUA", gettext_noop("Fastmail's image proxy")),
    ("SeznamEmailProxy", gettext_noop("Seznam's image proxy")),
)

#: All that Apple's privacy protection says of itself. Its addresses prove nothing: people
#: who browse with Private Relay have the same.
_APPLE = "Mozilla/5.0"

_HUMAN = Verdict(Label.HUMAN, "")
_SILENT = Verdict(Label.HUMAN, gettext_noop("no user agent"))
_PRELOADED = Verdict(
    Label.PREFETCH,
    gettext_noop("Apple Mail Privacy Protection loads images whether or not the mail is read"),
)

#: What a bot calls itself follows.
_CALLS_ITSELF = gettext_noop("calls itself %s")

#: All reasons but those that name a bot.
_REASONS = frozenset(
    {_SILENT.reason, _PRELOADED.reason, *(owner for _mark, owner in _MAIL_PROXIES)}
)

#: The labels of hits whose address and agent are a machine's, between reader and site.
CLAIMS_NOTHING = frozenset({Label.PROXY, Label.PREFETCH})


def judge(user_agent: str, *, is_open: bool = False) -> Verdict:
    """Return what is thought of whoever sends ``user_agent``.

    In doubt it is a person. A bot that counts makes a number somewhat too high, and can be
    told later by what it does; a reader who does not count is lost: filters that took mail
    proxies for bots have erased every open of Gmail (mautic #16069).

    Args:
        user_agent: the header ``User-Agent``, of which 2,000 characters are read.
        is_open: whether an image of a mail was loaded. Apple's protection does that, and
            follows no links.
    """
    return _judge(user_agent[: user_agents.MAX_LENGTH], is_open)


def tells_place_and_device(label: str) -> bool:
    """Return whether address and agent of a hit with this label are those of the reader.

    Those of a mail proxy are not: where its reader is, and with what, it hides.
    """
    return label not in CLAIMS_NOTHING


def in_words(reason: str) -> str:
    """Return the reason of a verdict, which is stored in English, in the active language.

    Args:
        reason: that of a row. One that is not ours, or not any more, comes back as it is.
    """
    if reason in _REASONS:
        return gettext(reason)
    beginning = _CALLS_ITSELF.removesuffix("%s")
    if reason.startswith(beginning):
        return gettext(_CALLS_ITSELF) % reason.removeprefix(beginning)
    return reason


@lru_cache(maxsize=user_agents.CACHED)
def _judge(user_agent: str, is_open: bool) -> Verdict:
    if not user_agent.strip():
        return _SILENT
    for mark, owner in _MAIL_PROXIES:
        if mark in user_agent:
            return Verdict(Label.PROXY, owner)
    if is_open and user_agent == _APPLE:
        return _PRELOADED
    if name := user_agents.bot_name(user_agent):
        return Verdict(Label.BOT, _CALLS_ITSELF % name)
    return _HUMAN
