"""An e-mail backend that writes each message into a folder, as an ``.eml`` file."""

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
    """Writes each message to a file named after its subject and recipient.

    Sending a campaign again replaces its messages.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the messages, and return their number."""
        folder().mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            (folder() / self._name(message)).write_bytes(message.message().as_bytes())
        return len(email_messages)

    def _name(self, message: EmailMessage) -> str:
        text = f"{message.subject} {' '.join(message.recipients())}"
        # The checksum keeps addresses with the same slug apart.
        return f"{slugify(text)}-{zlib.crc32(text.encode()):08x}.eml"


def messages() -> Iterator[tuple[str, ParsedMessage]]:
    """Yield the file name of each message, without ``.eml``, and its headers."""
    for path in sorted(folder().glob("*.eml")):
        with path.open("rb") as file:
            yield path.stem, BytesParser(policy=policy.default).parse(file, headersonly=True)


def message(name: str) -> ParsedMessage | None:
    """Return the message with this name, or ``None``."""
    for path in folder().glob("*.eml"):
        if path.stem == name:  # compared, not joined: a name cannot leave the folder
            return BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    return None
