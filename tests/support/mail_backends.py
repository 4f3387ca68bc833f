"""Backends that send mail in odd ways, as some in the wild do."""

from django.core.mail.backends.base import BaseEmailBackend


class Odd(BaseEmailBackend):
    """Keeps what it is given, and answers what a test says.

    Attributes:
        sent: the messages that went out.
        answer: what ``send_messages`` returns, or an error to raise.
        on_send: called with each message.
    """

    sent: list = []
    answer: object = 1
    on_send = staticmethod(lambda message: None)

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.connection = None  # other backends open one when they send

    def send_messages(self, email_messages):
        """Keep messages."""
        for message in email_messages:
            self.on_send(message)
            if isinstance(self.answer, Exception):
                raise self.answer
            self.sent.append(message)
        return self.answer


class FailsToClose(Odd):
    """A connection that breaks when it is closed."""

    def open(self):
        """Open it."""
        return True

    def close(self):
        """Fail."""
        raise ConnectionResetError("closed by the server")
