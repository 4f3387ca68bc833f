"""The hit of a message that went out."""

from django.core.mail import EmailMessage, make_msgid
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.utils import DNS_NAME

from tracking.hits import Hit, Kind, Reference
from tracking.mail.instrumenting import Tracking
from tracking.mail.message_parts import header

#: The key of the message's id in the data of the beacon.
MESSAGE_ID = "message_id"


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
    data = {**tracking.options.data, "recipients": len(message.recipients())}
    if identifier := _message_id(message):
        data[MESSAGE_ID] = identifier
    return Hit(
        kind=Kind.SENT,
        source=Reference.to(tracking.source) if tracking.source else None,
        entity=Reference.to(tracking.entity) if tracking.entity else None,
        data=data,
    )


def _message_id(message: EmailMessage) -> str | None:
    """Return the id by which later events of the message are known."""
    status = getattr(message, "anymail_status", None)
    identifier = getattr(status, "message_id", None)  # a set, if its recipients have several
    return identifier if isinstance(identifier, str) else header(message, "Message-ID")
