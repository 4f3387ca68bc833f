"""A real SMTP server, which keeps what it receives."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.support.processes import free_port


class Received(Message):
    """The messages that a server has accepted, in their order.

    Attributes:
        raw: their bytes.
        refused: addresses that the server does not accept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[bytes] = []
        self.refused: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def prepare_message(self, session: Any, envelope: Any) -> Any:
        self.raw.append(envelope.content)
        return super().prepare_message(session, envelope)

    def handle_message(self, message: Any) -> None:
        pass

    @property
    def messages(self) -> list[EmailMessage]:
        """The messages, parsed."""
        return [message_from_bytes(raw, policy=policy.default) for raw in self.raw]  # type: ignore[misc]


@contextmanager
def smtp_server() -> Iterator[tuple[Received, int]]:
    """Yield what a server on this machine receives, and its port."""
    received = Received()
    controller = Controller(received, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield received, controller.port
    finally:
        controller.stop()
