"""The headers by which mail programs show a button to unsubscribe (RFC 2369 and RFC 8058)."""

from django.core.mail import EmailMessage
from django.db.models import Model

from tracking import links
from tracking.log_limits import get_logger
from tracking.mail.message_parts import header
from tracking.signals import unsubscribed

logger = get_logger(__name__)


def add_unsubscribe_headers(
    message: EmailMessage, entity: Model | None, source: Model | None
) -> None:
    """Add ``List-Unsubscribe`` and ``List-Unsubscribe-Post``, unless the message has the first.

    A message to several people gets none: one of them would unsubscribe all.

    Args:
        message: the message.
        entity: the saved row of its recipient; without one, its address unsubscribes.
        source: the saved row of the mailing.
    """
    if header(message, "List-Unsubscribe") is not None or len(message.recipients()) != 1:
        return
    if not unsubscribed.has_listeners():
        logger.warning(
            "Messages go out without List-Unsubscribe: nothing receives the signal unsubscribed."
        )
        return
    recipient = str(message.recipients()[0]) if entity is None else entity
    url = links.unsubscribe_url(recipient, source=source)
    added = {"List-Unsubscribe": f"<{url}>"}
    if url.startswith("https://"):  # which RFC 8058 asks for
        added["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.extra_headers = {**message.extra_headers, **added}
