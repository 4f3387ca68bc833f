"""The mail backend that tracks messages, and hands them to the one that sends them.

# Django 5.2
EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
TRACKING_MAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"

# Django 6.1
MAILERS = {
    "default": {
        "BACKEND": "tracking.mail.TrackingEmailBackend",
        "OPTIONS": {"mailer": "smtp"},
    },
    "smtp": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"},
}
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from threading import RLock
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from tracking.backends import get_backend
from tracking.conf import conf
from tracking.db.isolation import log_errors, log_errors_with_savepoints
from tracking.hits import Hit
from tracking.log_limits import get_logger
from tracking.mail.campaigns import FindSource, remembered_sources
from tracking.mail.instrumenting import Tracking, track
from tracking.mail.message_parts import header
from tracking.mail.options import HEADER
from tracking.mail.sent import prepare_message_id, sent_hit

logger = get_logger(__name__)

#: How many sent messages wait at most to be recorded: no more are lost with the process.
RECORDED_AT_ONCE = 1_000


class TrackingEmailBackend(BaseEmailBackend):
    """Tracks messages, hands them to another backend, and records what went out.

    What is tracked is a copy of each message. Those of the caller stay as they are: one that is
    sent again, to another recipient, is tracked anew.

    Args:
        mailer: the alias in ``MAILERS`` that sends, since Django 6.1. Without ``MAILERS``,
            ``TRACKING_MAIL_BACKEND`` sends.
        options: what the class that sends takes, such as ``fail_silently`` and ``username``. With
            ``MAILERS``, options belong to the alias that sends.

    Raises:
        django.core.exceptions.ImproperlyConfigured: the settings name no backend that sends.
    """

    def __init__(self, *args: Any, mailer: str | None = None, **options: Any) -> None:
        if hasattr(mail, "mailers") and hasattr(settings, "MAILERS"):
            super().__init__(*args, **options)
            self.sender = _mailer(mailer, options.get("alias"))
            # send_mail() and message.send() give these to the default mailer until Django 7.
            for name in ("fail_silently", "username", "password"):
                if name in options:
                    setattr(self.sender, name, options[name])
        else:
            super().__init__()
            self.sender = sender_class()(*args, **options)

    def open(self) -> bool | None:
        """Open the connection of the backend that sends."""
        return self.sender.open()

    def close(self) -> None:
        """Close the connection of the backend that sends."""
        self.sender.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send messages one by one over one connection, and record those that went out.

        Args:
            email_messages: the messages.

        Returns:
            How many went out.

        Raises:
            Exception: the backend that sends failed at a message. Those before it went out, and
                are recorded.
        """
        with _lock_of(self.sender):
            return self._send_all(list(email_messages))

    def _send_all(self, messages: Sequence[EmailMessage]) -> int:
        is_new = self.open() if len(messages) > 1 else None
        if (
            is_new is None
            and getattr(self.sender, "connection", self) is None
            and type(self.sender).open is not BaseEmailBackend.open
            and len(messages) > 1
        ):
            return 0  # the server does not answer, and the sender was asked to be silent
        find_source = remembered_sources()
        sent: list[Hit] = []
        number = 0
        try:
            for message in messages:
                number += self._send(message, find_source, sent)
                if len(sent) >= RECORDED_AT_ONCE:
                    _record(sent.copy())
                    sent.clear()
        finally:
            try:
                if is_new:
                    self.close()
            finally:
                _record(sent)
        return number

    def _send(self, message: EmailMessage, find_source: FindSource, sent: list[Hit]) -> int:
        """Send one message, add its hit to ``sent``, and return how many went out."""
        outgoing, tracking = _prepare(message, find_source, self.sender)
        before = dict(vars(outgoing))
        try:
            result: object = self.sender.send_messages([outgoing])
        finally:
            _take_over(message, outgoing, before)
        if result and tracking is not None and not tracking.options.test:
            with log_errors(logger, "Recording a sent message"):
                sent.append(sent_hit(outgoing, tracking))
        # Backends that queue messages return other things than a number, such as a list of jobs.
        return result if isinstance(result, int) else int(bool(result))


def _lock_of(sender: BaseEmailBackend) -> AbstractContextManager[object]:
    """Return the lock for threads that share a connection, if the sender has one.

    Django's backends hold it while they send a batch: no thread closes the connection of another.
    """
    lock = getattr(sender, "_lock", None)
    return lock if isinstance(lock, type(RLock())) else nullcontext()


def _prepare(
    message: EmailMessage, find_source: FindSource, sender: BaseEmailBackend
) -> tuple[EmailMessage, Tracking | None]:
    """Return what to send for a message, and how it is tracked."""
    try:
        outgoing = copy(message)
        tracking = track(outgoing, find_source)
        if tracking is None:
            if header(message, HEADER) is None:
                return message, None
            outgoing = copy(message)
        outgoing.extra_headers = {
            name: value
            for name, value in outgoing.extra_headers.items()
            if name.lower() != HEADER.lower()
        }
        if tracking is not None:
            prepare_message_id(outgoing, sender)
            # If the sender keeps messages for another TrackingEmailBackend, it is recorded once.
            outgoing.tracking = False  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - whatever fails, the message goes out
        logger.error("A message goes out without tracking: %r", error)  # noqa: TRY400 - one line
        return message, None
    return outgoing, tracking


#: What tracking changes in the copy.
_CHANGED = frozenset({"body", "alternatives", "extra_headers", "tracking"})


def _take_over(message: EmailMessage, outgoing: EmailMessage, before: Mapping[str, object]) -> None:
    """Give a message what the sender has noted at its copy, such as ``anymail_status``."""
    if outgoing is message:
        return
    with log_errors(logger, "Noting what the sender says of a message"):
        for name, value in vars(outgoing).items():
            if name not in _CHANGED and (name not in before or before[name] is not value):
                setattr(message, name, value)


def _record(hits: Sequence[Hit]) -> None:
    if hits:
        with log_errors_with_savepoints(logger, "Recording %s sent messages", len(hits)):
            get_backend().send_many(hits)


def _mailer(mailer: str | None, alias: str | None) -> BaseEmailBackend:
    """Return the backend that sends, from ``MAILERS``."""
    if mailer is None or mailer == alias:
        raise mail.InvalidMailer(
            "TrackingEmailBackend needs the option 'mailer', the alias of the mailer that sends.",
            alias=alias,
        )
    sender: BaseEmailBackend = mail.mailers[mailer]
    return sender


def sender_class() -> type[BaseEmailBackend]:
    """Return the class that sends, from ``TRACKING_MAIL_BACKEND``.

    Raises:
        django.core.exceptions.ImproperlyConfigured: the setting names none.
    """
    try:
        sender: type[BaseEmailBackend] = import_string(conf.mail_backend)
    except ImportError as error:
        raise ImproperlyConfigured(f"TRACKING_MAIL_BACKEND cannot be imported: {error}") from error
    if issubclass(sender, TrackingEmailBackend):
        raise ImproperlyConfigured(
            "TRACKING_MAIL_BACKEND is TrackingEmailBackend itself: name the backend that sends."
        )
    return sender
