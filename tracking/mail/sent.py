"""The hit of a message that went out."""

from email.utils import parseaddr
from typing import Any

from django.core.mail import EmailMessage, make_msgid
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.utils import DNS_NAME

from tracking.enrichment.mailbox_providers import mailbox_provider
from tracking.hits import Hit, Kind, Reference
from tracking.mail.instrumenting import Tracking
from tracking.mail.message_parts import header
from tracking.recording.provider_events import (
    LINKS,
    MAILBOX,
    MESSAGE_ID,
    MESSAGE_IDS,
    PIXEL,
    UNTRACKED,
)

#: The ids of one message that are kept, if each recipient has one.
MAX_IDS = 100


def prepare_message_id(message: EmailMessage, sender: BaseEmailBackend) -> None:
    """Give a message the id that Django would give it while sending, so that it is known.

    Args:
        message: the message. Its header stands where Django would put it.
        sender: the backend that sends. Those of mail providers (django-anymail) get an id from
            the provider; some providers refuse a message with another one.
    """
    if header(message, "Message-ID") is None and not hasattr(sender, "esp_name"):
        identifier = make_msgid(domain=str(DNS_NAME))
        message.extra_headers = {"Message-ID": identifier, **message.extra_headers}


def sent_hit(message: EmailMessage, tracking: Tracking) -> Hit:
    """Return the hit of a message that went out now.

    Args:
        message: the message.
        tracking: how it is tracked.
    """
    recipients = message.recipients()
    data = {**tracking.options.data, "recipients": len(recipients), **_ids(message)}
    mailboxes = {mailbox_provider(parseaddr(str(recipient))[1]) for recipient in recipients}
    if len(mailboxes) == 1 and (mailbox := mailboxes.pop()):
        data[MAILBOX] = mailbox
    # What is missing is noted: most messages have both.
    data |= {part: False for part in (PIXEL, LINKS) if part not in tracking.added}
    if tracking.links:
        data[LINKS] = tracking.links
    if untracked := _untracked(tracking):
        data[UNTRACKED] = untracked
    return Hit(
        kind=Kind.SENT,
        source=Reference.to(tracking.source) if tracking.source else None,
        entity=Reference.to(tracking.entity) if tracking.entity else None,
        data=data,
    )


def _untracked(tracking: Tracking) -> list[str]:
    """Return what is not recorded of the recipient, who has not agreed."""
    consent = tracking.consent
    return [name for name in ("opens", "clicks") if not getattr(consent, name)]


def _ids(message: EmailMessage) -> dict[str, Any]:
    """Return the ids by which later events of the message are known, as data of the beacon."""
    status = getattr(message, "anymail_status", None)
    identifier = getattr(status, "message_id", None)
    if isinstance(identifier, set):  # each recipient has one
        return {MESSAGE_IDS: sorted(map(str, identifier - {None}))[:MAX_IDS]}
    if identifier is None:
        identifier = header(message, "Message-ID")
    return {} if identifier is None else {MESSAGE_ID: str(identifier)}
