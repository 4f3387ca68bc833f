"""Mailbox providers of recipients, by the domain of the address.

>>> mailbox_provider("anna@googlemail.com")
'gmail'

Only the domains where people have private addresses are known. Companies that have their mail at
one of the providers count as others: only a look at DNS would tell.
"""

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Mailbox(TextChoices):
    """Who keeps the mail of a recipient."""

    GMAIL = "gmail", "Gmail"
    OUTLOOK = "outlook", "Outlook"
    YAHOO = "yahoo", "Yahoo"
    APPLE = "apple", "Apple"
    OTHER = "other", _("Other")


#: Second-level domains that one provider has under many countries, such as ``yahoo.co.uk``.
_IN_MANY_COUNTRIES: Final = {
    # https://help.yahoo.com/kb/SLN2153.html, https://senders.yahooinc.com/
    "yahoo": Mailbox.YAHOO,
    # AOL has the servers of Yahoo: https://senders.yahooinc.com/faqs/
    "aol": Mailbox.YAHOO,
    # https://learn.microsoft.com/en-us/defender-office-365/outlook-com-postmaster-overview,
    # https://sendersupport.olc.protection.outlook.com/pm/
    "outlook": Mailbox.OUTLOOK,
    "hotmail": Mailbox.OUTLOOK,
    "live": Mailbox.OUTLOOK,
}

#: Words between such a domain and its country: ``co.uk``, ``com.br``.
_SECOND_LEVEL: Final = frozenset({"co", "com", "ne"})

_DOMAINS: Final = {
    # https://support.google.com/mail/answer/10313
    "gmail.com": Mailbox.GMAIL,
    "googlemail.com": Mailbox.GMAIL,
    # The pages of Microsoft above.
    "msn.com": Mailbox.OUTLOOK,
    "passport.com": Mailbox.OUTLOOK,
    "windowslive.com": Mailbox.OUTLOOK,
    # The pages of Yahoo above. Verizon has had no mail of its own since 2017:
    # https://www.verizon.com/support/verizon-email/
    "ymail.com": Mailbox.YAHOO,
    "rocketmail.com": Mailbox.YAHOO,
    "myyahoo.com": Mailbox.YAHOO,
    "aim.com": Mailbox.YAHOO,
    "netscape.net": Mailbox.YAHOO,
    "verizon.net": Mailbox.YAHOO,
    # https://support.apple.com/en-us/105078 (addresses) and /102529 (Hide My Email)
    "icloud.com": Mailbox.APPLE,
    "me.com": Mailbox.APPLE,
    "mac.com": Mailbox.APPLE,
    "privaterelay.appleid.com": Mailbox.APPLE,
}

#: Providers that tell no sender which recipient calls a message spam. Google reports shares only
#: (https://support.google.com/mail/answer/6227174), Apple nothing
#: (https://support.apple.com/en-us/102322).
WITHOUT_COMPLAINTS: Final = frozenset({Mailbox.GMAIL, Mailbox.APPLE})


def mailbox_provider(address: str) -> str:
    """Return the value of :class:`Mailbox` for an address, or ``""`` for a text that is none.

    Args:
        address: an address without a name, such as ``anna@gmail.com``.
    """
    name, _at, domain = address.strip().rstrip(">").rpartition("@")
    domain = domain.lower().rstrip(".")
    if not name or not domain:
        return ""
    if found := _DOMAINS.get(domain):
        return found.value
    first, *rest = domain.split(".")
    if first in _IN_MANY_COUNTRIES and _is_country(rest):
        return _IN_MANY_COUNTRIES[first].value
    return Mailbox.OTHER.value


def _is_country(labels: list[str]) -> bool:
    """Return whether ``yahoo.<labels>`` is Yahoo's own: ``com``, ``de``, ``co.uk``, ``com.br``."""
    if len(labels) == 1:
        return labels == ["com"] or len(labels[0]) == len("de")
    return len(labels) == len(["co", "uk"]) and labels[0] in _SECOND_LEVEL and len(labels[1]) == 2  # noqa: PLR2004 - a country
