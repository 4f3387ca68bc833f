"""Settings of the consent of recipients of mail."""

from collections.abc import Mapping
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.checks.mail import is_in_use
from tracking.checks.tags import TAG
from tracking.conf import conf
from tracking.recipient_consent.decisions import IF_GRANTED, UNLESS_DENIED

_BOTH = (IF_GRANTED, UNLESS_DENIED)


@register(TAG)
def check_choice(**_: Any) -> list[CheckMessage]:
    """W020: the site sends tracked mail, and has not chosen."""
    if conf.mail_consent or not is_in_use():
        return []
    return [
        Warning(
            "This site sends tracked mail, and TRACKING_MAIL_CONSENT is not set.",
            hint='Choose what applies to recipients who have said nothing: "if-granted" records '
            "their opens and clicks only after recipient_consent.grant() or their own choice on "
            'the preferences page; "unless-denied" records them until they refuse. Which of the '
            "two your law asks for is for you to find out. Until you choose, all are recorded who "
            "have not refused.",
            id="tracking.W020",
        )
    ]


@register(TAG)
def check_value(**_: Any) -> list[CheckMessage]:
    """E030: which recipients are tracked."""
    asked = conf.mail_consent
    if not asked or (isinstance(asked, str) and asked in _BOTH):
        return []
    if (
        isinstance(asked, Mapping)
        and set(asked) == {"opens", "clicks"}
        and all(value in _BOTH for value in asked.values())
    ):
        return []
    return [
        Error(
            f"TRACKING_MAIL_CONSENT is {asked!r}.",
            hint='Set "if-granted" or "unless-denied", or {"opens": ..., "clicks": ...} with one '
            "of them for each. Until then only recipients are recorded who have agreed.",
            id="tracking.E030",
        )
    ]
