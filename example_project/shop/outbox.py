"""The outbox: a folder of ``.eml`` files, and the SMTP server that writes them.

Mail of the shop takes the way that real mail takes: the backend sends it by SMTP to a server. That
server runs on this machine for as long as the connection is open, and passes nothing on.
"""

import socket
import zlib
from collections.abc import Iterator
from contextlib import closing
from email import policy
from email.message import EmailMessage as ParsedMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.utils.text import slugify


def folder() -> Path:
    """Return the folder of the outbox."""
    return Path(settings.OUTBOX)


class OwnServerBackend(EmailBackend):
    """Sends mail by SMTP to a server that it starts with each connection."""

    _server: Any = None

    def open(self) -> bool | None:
        """Start the server and connect to it, unless there is a connection."""
        if self.connection:
            return False
        from aiosmtpd.controller import Controller  # noqa: PLC0415 - only sending needs it

        self.host, self.port = "127.0.0.1", _free_port()
        self._server = Controller(_Mailbox(), hostname=self.host, port=self.port)
        self._server.start()
        return super().open()

    def close(self) -> None:
        """Close the connection and stop the server."""
        super().close()
        if self._server is not None:
            self._server.stop()
            self._server = None


def _free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class _Mailbox:
    """Writes what the server receives to files named after recipient and subject.

    A message that is sent again replaces the first.
    """

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = BytesParser(policy=policy.default).parsebytes(envelope.content, headersonly=True)
        text = f"{' '.join(envelope.rcpt_tos)} {message['Subject']}"
        # The checksum keeps addresses with the same slug apart.
        name = f"{slugify(text)}-{zlib.crc32(text.encode()):08x}.eml"
        folder().mkdir(parents=True, exist_ok=True)
        (folder() / name).write_bytes(envelope.content)
        return "250 OK"


def messages(*, headersonly: bool = True) -> Iterator[tuple[str, ParsedMessage]]:
    """Yield the file name of each message, without ``.eml``, and its headers or all of it."""
    for path in sorted(folder().glob("*.eml")):
        with path.open("rb") as file:
            yield path.stem, BytesParser(policy=policy.default).parse(file, headersonly)


def message(name: str) -> ParsedMessage | None:
    """Return the message with this name, or ``None``."""
    for path in folder().glob("*.eml"):
        if path.stem == name:  # compared, not joined: a name cannot leave the folder
            return BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    return None
