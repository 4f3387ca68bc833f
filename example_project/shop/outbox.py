"""Mail that goes into a folder instead of out: one ``.eml`` file per message."""

import zlib
from collections.abc import Iterator, Sequence
from email import policy
from email.message import EmailMessage as ParsedMessage
from email.parser import BytesParser
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.text import slugify


def folder() -> Path:
    """Return the folder of the outbox."""
    return Path(settings.EMAIL_FILE_PATH)


class FolderBackend(BaseEmailBackend):
    """Writes each message into a file that is named after its subject and recipient.

    A campaign sent again replaces its messages.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder().mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            (folder() / self._name(message)).write_bytes(message.message().as_bytes())
        return len(email_messages)

    def _name(self, message: EmailMessage) -> str:
        text = f"{message.subject} {' '.join(message.recipients())}"
        # Two addresses may have one slug.
        return f"{slugify(text)}-{zlib.crc32(text.encode()):08x}.eml"


def messages() -> Iterator[tuple[str, ParsedMessage]]:
    """Yield the name of each message, without ``.eml``, and its headers."""
    for path in sorted(folder().glob("*.eml")):
        with path.open("rb") as file:
            yield path.stem, BytesParser(policy=policy.default).parse(file, headersonly=True)


def message(name: str) -> ParsedMessage | None:
    """Return one message, or ``None`` if there is none of that name."""
    for path in folder().glob("*.eml"):
        if path.stem == name:  # compared and not joined, so that no name leads out of the folder
            return BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    return None
