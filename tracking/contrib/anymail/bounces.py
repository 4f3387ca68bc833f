"""Why a message did not arrive, in one word, as each provider says.

``hard``: the address does not exist, and never will. ``soft``: the server refuses this message, or
refuses it today. ``rejected``: the provider did not try. Where a provider does not tell hard from
soft, the answer of the recipient's server does (RFC 3463); in doubt a bounce is soft, because
sites delete addresses after a hard one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

HARD: Final = "hard"
SOFT: Final = "soft"
REJECTED: Final = "rejected"


def bounce_type(event: Any, esp_name: str) -> str:
    """Return ``"hard"``, ``"soft"`` or ``"rejected"``.

    Args:
        event: an event of anymail: bounced, rejected or failed.
        esp_name: anymail's name of the mail provider.
    """
    has_tried = event.event_type == "failed" and event.mta_response  # as Postal says it
    if event.event_type != "bounced" and not has_tried:
        return REJECTED
    raw = event.esp_event
    is_hard = _IS_HARD.get(esp_name)
    if is_hard is not None and isinstance(raw, Mapping):
        try:
            found = is_hard(raw)
        except (KeyError, TypeError, AttributeError):
            found = None
        if found is not None:
            return HARD if found else SOFT
    if event.reject_reason == "invalid":
        return HARD
    return HARD if _PERMANENT.search(str(event.mta_response or "")[:2_000]) else SOFT


#: "User unknown" and its kin: 5.1.x is a bad address (RFC 3463, section 3.2), and 550 or 551
#: without a code of that kind is the same (RFC 5321, section 4.2.3).
_PERMANENT = re.compile(r"(?<![\d.])(?:5\.1\.[0-36]|55[01](?![ -]\d\.\d))(?![\d.]*\d)")


def _is_one_of(value: object, hard: str, soft: str) -> bool | None:
    text = str(value).lower()
    if text in hard.split():
        return True
    return False if text in soft.split() else None


def _sparkpost(raw: Mapping[str, Any]) -> bool | None:
    (event,) = raw["msys"].values()
    # https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
    number = event.get("bounce_class")
    return None if number is None else str(number) in {"10", "30", "90"}


#: Whether a bounce is hard, by provider; ``None`` where the payload does not say.
_IS_HARD: Final[Mapping[str, Callable[[Mapping[str, Any]], bool | None]]] = {
    # https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
    "SendGrid": lambda raw: _is_one_of(raw.get("type"), "bounce", "blocked"),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure
    "Mailgun": lambda raw: _is_one_of(raw["event-data"].get("severity"), "permanent", "temporary"),
    # https://postmarkapp.com/developer/api/bounce-api#bounce-types
    "Postmark": lambda raw: _is_one_of(
        raw.get("Type"), "hardbounce bademailaddress", "softbounce virusnotification"
    ),
    # https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
    "Amazon SES": lambda raw: _is_one_of(
        raw["bounce"].get("bounceType"), "permanent", "transient undetermined"
    ),
    # https://developers.brevo.com/docs/transactional-webhooks
    "Brevo": lambda raw: _is_one_of(raw.get("event"), "hard_bounce invalid_email", "soft_bounce"),
    # https://resend.com/docs/dashboard/emails/email-bounces
    "Resend": lambda raw: _is_one_of(
        raw["data"]["bounce"].get("type"), "permanent", "transient undetermined"
    ),
    "SparkPost": _sparkpost,
    # https://dev.mailjet.com/email/guides/webhooks/
    "Mailjet": lambda raw: bool(raw["hard_bounce"]),
    # https://mailchimp.com/developer/transactional/docs/webhooks/
    "Mandrill": lambda raw: _is_one_of(raw.get("event"), "hard_bounce", "soft_bounce"),
    # https://developers.mailersend.com/api/v1/webhooks.html
    "MailerSend": lambda raw: _is_one_of(raw["data"].get("type"), "hard_bounced", "soft_bounced"),
    # https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
    "Mailtrap": lambda raw: True if raw.get("event") == "bounce" else None,
    # https://godocs.unisender.ru/web-api-ref#callback-format
    "Unisender Go": lambda raw: _is_one_of(raw.get("status"), "hard_bounced", "soft_bounced"),
}
