"""Write down what a recipient says, and look it up.

    grant(subscriber, how="sign-up form", text="sign-up 2026-03")
    withdraw("anna@example.com", how="phone")
    state(subscriber).opens        # ConsentState.GRANTED

Opens and clicks are apart: ``grant(subscriber, clicks=False)`` is about opens only.
"""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from tracking.db.column_values import storable_text
from tracking.models import ConsentState, MailConsent, MailConsentChange
from tracking.models.change_signals import change_signals
from tracking.recipient_consent.recipients import Identity, Recipient, identify


class ConsentOf(NamedTuple):
    """What a recipient has said.

    Attributes:
        opens: about opens.
        clicks: about clicks.
        changed_at: when (aware), or ``None`` if it has said nothing.
        how: how, such as ``"preferences page"``.
        text: which text it was shown.
    """

    opens: ConsentState = ConsentState.UNKNOWN
    clicks: ConsentState = ConsentState.UNKNOWN
    changed_at: datetime | None = None
    how: str = ""
    text: str = ""


def grant(
    recipient: Recipient, *, opens: bool = True, clicks: bool = True, how: str = "", text: str = ""
) -> bool:
    """Note that a recipient agrees that its opens and clicks are recorded.

    Args:
        recipient: a saved row of any model, or an address.
        opens: whether this is about opens.
        clicks: whether this is about clicks.
        how: how it agreed, such as ``"sign-up form"``; 50 characters are kept.
        text: the version of the text that it was shown; 200 characters are kept.

    Returns:
        Whether this is new. What has been said in the same way before is not noted again.

    Raises:
        TypeError: ``recipient`` is something else.
        ValueError: it is a row that is not saved, or a text that is no address.
        tracking.recipient_consent.AddressKeyLost: the secret is gone that addresses need.
        django.db.Error: nothing was noted.
    """
    state = ConsentState.GRANTED
    return set_states(recipient, state if opens else None, state if clicks else None, how, text)


def deny(
    recipient: Recipient, *, opens: bool = True, clicks: bool = True, how: str = "", text: str = ""
) -> bool:
    """Note that a recipient refuses. From now on nothing is recorded.

    That applies to mails already sent, too: in all processes within a second of the commit.
    Arguments, result and errors are those of :func:`grant`.
    """
    state = ConsentState.DENIED
    return set_states(recipient, state if opens else None, state if clicks else None, how, text)


def withdraw(
    recipient: Recipient,
    *,
    opens: bool = True,
    clicks: bool = True,
    how: str = "withdrawal",
    text: str = "",
) -> bool:
    """Note that a recipient takes back what it has granted; it is denied then, as by :func:`deny`.

    Arguments, result and errors are those of :func:`grant`.
    """
    return deny(recipient, opens=opens, clicks=clicks, how=how, text=text)


def set_states(
    recipient: Recipient,
    opens: ConsentState | None,
    clicks: ConsentState | None,
    how: str = "",
    text: str = "",
) -> bool:
    """Note what a recipient says about both; ``None`` leaves one as it is.

    The other arguments, the result and the errors are those of :func:`grant`.
    """
    using = router.db_for_write(MailConsent)
    who = identify(recipient, using)
    said = {"how": storable_text(how, 50), "text": storable_text(text, 200)}
    said |= {name: s for name, s in (("opens", opens), ("clicks", clicks)) if s is not None}
    if _says_already(_find(who, using).first(), said):
        return False
    with change_signals(MailConsent, using):  # which lets writers wait for each other
        # Locked: MariaDB would read what was there when the transaction began.
        consent = _find(who, using).select_for_update().first()
        if _says_already(consent, said):
            return False
        consent = consent or MailConsent(**who._asdict())
        consent.label, consent.key = consent.label[:200], storable_text(consent.key, 255)
        consent.changed_at = timezone.now()
        for name, value in said.items():
            setattr(consent, name, value)
        consent.save(using=using)
        columns = ("opens", "clicks", "changed_at", "how", "text")
        MailConsentChange.objects.using(using).create(
            consent=consent, **{name: getattr(consent, name) for name in columns}
        )
    return True


def _find(who: Identity, using: str) -> QuerySet[MailConsent]:
    return MailConsent.objects.using(using).filter(digest=who.digest)


def _says_already(consent: MailConsent | None, said: dict[str, Any]) -> bool:
    return consent is not None and all(
        getattr(consent, name) == value for name, value in said.items()
    )


def state(recipient: Recipient) -> ConsentOf:
    """Return what a recipient has said last, from the database.

    Args:
        recipient: a saved row of any model, or an address.

    Raises:
        TypeError, ValueError, tracking.recipient_consent.AddressKeyLost, django.db.Error: as
            for :func:`grant`.
    """
    using = router.db_for_write(MailConsent)
    found = _find(identify(recipient, using), using).first()
    if found is None:
        return ConsentOf()
    return ConsentOf(
        ConsentState(found.opens),
        ConsentState(found.clicks),
        found.changed_at,
        found.how,
        found.text,
    )


def history(recipient: Recipient) -> QuerySet[MailConsentChange]:
    """Return all that a recipient has said, the oldest first.

    Arguments and errors are those of :func:`state`.
    """
    using = router.db_for_write(MailConsent)
    digest = identify(recipient, using).digest
    return MailConsentChange.objects.using(using).filter(consent__digest=digest).order_by("id")
