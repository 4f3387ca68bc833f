"""What a user agent says it is: browser, operating system, device, or a crawler by name.

    >>> identify("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    Agent(browser='Firefox 128', os='Linux', device='desktop')

Nothing of this is proof: a client writes what it likes. Both answers come from lists that
the extra ``[bots]`` brings (ua-parser and crawler-user-agents). Without them the agent is
blank, and the rules of this module know the crawlers that call themselves one.

A new agent costs some 110 µs, one that was seen lately 0.1 µs. The first of a process costs
100 ms, in which the lists are made ready.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

#: Characters of a user agent that are read: real ones have a few hundred.
MAX_LENGTH = 2_000

#: Agents that are remembered, each list for itself.
CACHE_SIZE = 10_000

#: Characters of a name, of a browser or a crawler: as much as the tables hold.
NAME_LENGTH = 100


class Device(TextChoices):
    """What is held in hand, or stands on the desk."""

    DESKTOP = "desktop", _("Desktop")
    MOBILE = "mobile", _("Phone")
    TABLET = "tablet", _("Tablet")


@dataclass(frozen=True, slots=True)
class Agent:
    """What a user agent says of itself; a field is ``""`` where it says nothing.

    Attributes:
        browser: family and major version, such as ``"Firefox 128"``.
        os: family and, where it means something, major version, such as ``"Android 14"``.
        device: one of :class:`Device`.
    """

    browser: str = ""
    os: str = ""
    device: str = ""


def identify(user_agent: str) -> Agent:
    """Return what ``user_agent`` says of itself. Never raises.

    Args:
        user_agent: the header ``User-Agent``, of which 2,000 characters are read.
    """
    return _identify(user_agent[:MAX_LENGTH])


@lru_cache(maxsize=CACHE_SIZE)
def _identify(user_agent: str) -> Agent:
    try:
        from ua_parser import OS, UserAgent, parse  # noqa: PLC0415 - an extra
    except ImportError:
        return Agent()
    text = printable(user_agent)
    found = parse(text)
    browser = found.user_agent or UserAgent()
    system = found.os or OS()
    return Agent(
        browser=_name(browser.family, browser.major),
        os=_name(system.family, system.major),
        device=_device(text, system.family),
    )


#: Families that are called otherwise by whoever uses them.
_CALLED = {"Mac OS X": "macOS"}

#: Browsers have said 10.15 on every macOS since 2020, Chrome OS counts builds, and Apple
#: Mail gives the version of WebKit.
_UNVERSIONED = frozenset({"Mac OS X", "Chrome OS", "Apple Mail"})

_DESKTOP_SYSTEMS = frozenset(
    {
        "Windows",
        "Mac OS X",
        "Chrome OS",
        "Linux",
        "Arch Linux",
        "CentOS",
        "Debian",
        "Fedora",
        "Gentoo",
        "Kubuntu",
        "Linux Mint",
        "Mageia",
        "Mandriva",
        "Red Hat",
        "SUSE",
        "Slackware",
        "Ubuntu",
        "BSD",
        "DragonFly BSD",
        "FreeBSD",
        "NetBSD",
        "OpenBSD",
        "Solaris",
    }
)

_NEITHER = re.compile(r"TV\b|\bCrKey\b|\bXbox\b|\bPlayStation\b", re.ASCII)
# Old Internet Explorers say "Tablet PC 2.0" of any Windows that could be one.
_TABLET = re.compile(r"\biPad\b|\bTablet\b(?! PC)|\bPlayBook\b|\bKindle\b", re.ASCII)
_MOBILE = re.compile(r"\bMobi|\biPhone\b|\biPod\b|\bOpera Mini\b|\bWindows Phone\b", re.ASCII)


def _device(user_agent: str, system: str) -> str:
    """Return the kind of device, or ``""`` where the agent does not tell.

    An iPad calls itself a Macintosh since iPadOS 13, to the letter: it counts as a desktop.
    """
    if _NEITHER.search(user_agent):
        return ""
    if _TABLET.search(user_agent):
        return Device.TABLET.value
    if _MOBILE.search(user_agent):
        return Device.MOBILE.value
    if system == "Android":
        # Browsers say "Mobile" on a phone only; other programs do not keep to that.
        return Device.TABLET.value if user_agent.startswith("Mozilla/") else ""
    return Device.DESKTOP.value if system in _DESKTOP_SYSTEMS else ""


def _name(family: str | None, version: str | None) -> str:
    if not family or family == "Other":
        return ""
    shown = _CALLED.get(family, family)
    if version and family not in _UNVERSIONED:
        shown = f"{shown} {version}"
    return shown[:NAME_LENGTH]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(user_agent: str) -> str:
    """Return the agent as text that a parser and a database take, in one line.

    Lone surrogates cannot be encoded, and PostgreSQL stores no NUL.
    """
    return _CONTROL.sub(" ", user_agent).encode(errors="replace").decode()
