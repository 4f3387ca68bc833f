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

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from tracking.backends import get_backend
from tracking.conf import conf
from tracking.db.isolation import log_errors_with_savepoints
from tracking.hits import Hit
from tracking.log_limits import get_logger
from tracking.mail.campaigns import campaign_source
from tracking.mail.instrumenting import Tracking, track
from tracking.mail.options import HEADER
from tracking.mail.sent import prepare_message_id, sent_hit
from tracking.models import Source

logger = get_logger(__name__)


class TrackingEmailBackend(BaseEmailBackend):
    """Tracks messages, hands them to another backend, and records what went out.

    The messages of the caller are unchanged afterwards, so that one that is sent again, to another
    recipient, is tracked anew.

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
        messages = list(email_messages)
        is_new = self.open() if len(messages) > 1 else None
        if (
            is_new is None
            and getattr(self.sender, "connection", self) is None
            and len(messages) > 1
        ):
            return 0  # the server does not answer, and the sender was asked to be silent
        find_source = cache(campaign_source)
        sent: list[Hit] = []
        number = 0
        try:
            for message in messages:
                with _tracked(message, find_source) as tracking:
                    if tracking is not None:
                        prepare_message_id(message, self.sender)
                    went_out = self.sender.send_messages([message])
                    if went_out and tracking is not None and not tracking.options.test:
                        sent.append(sent_hit(message, tracking))
                number += went_out or 0
        finally:
            if is_new:
                self.close()
            _record(sent)
        return number


@contextmanager
def _tracked(
    message: EmailMessage, find_source: Callable[[str], Source | None]
) -> Iterator[Tracking | None]:
    """Track a message for the time of its sending, and restore it."""
    body, headers = message.body, message.extra_headers
    alternatives = list(getattr(message, "alternatives", ()))
    try:
        tracking = track(message, find_source)
        message.extra_headers = {
            name: value for name, value in headers.items() if name.lower() != HEADER.lower()
        }
        yield tracking
    finally:
        message.body, message.extra_headers = body, headers
        if alternatives:
            message.alternatives = alternatives  # type: ignore[attr-defined]


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
