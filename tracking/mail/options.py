"""What is asked for a message: whether it is tracked, and for which campaign and recipient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from typing import Any

from django.core.mail import EmailMessage
from django.db.models import Model
from django.utils.module_loading import import_string

from tracking.conf import conf
from tracking.mail.message_parts import header

#: The header that names the campaign of a message, and so asks for tracking. It is not sent.
HEADER = "X-Tracking"

#: Values of ``TRACKING_MAIL``: which messages are tracked if they do not say so themselves.
ALL = "all"
OPT_IN = "opt-in"

Rule = Callable[[EmailMessage], object]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a message is tracked: the keys of ``message.tracking``.

    Attributes:
        source: the saved row of the campaign; any model.
        campaign: the slug of a :class:`~tracking.models.Source`, which is made on first use. A
            ``source`` has precedence.
        entity: the saved row of the recipient; any model.
        test: whether links lead where they should and nothing is counted; always so for a message
            to addresses of ``TRACKING_TEST_RECIPIENTS`` alone.
        pixel: whether to add the pixel.
        links: whether to replace links.
        text: whether to replace the links in plain text, too.
        unsubscribe: whether to add the headers by which mail programs show a button to
            unsubscribe.
        utm: UTM parameters that links of the message get, by name.
        data: further values for callbacks and for the data of the beacons.
    """

    source: Model | None = None
    campaign: str = ""
    entity: Model | None = None
    test: bool = False
    pixel: bool = True
    links: bool = True
    text: bool = False
    unsubscribe: bool = False
    utm: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, message: EmailMessage) -> "Options | None":
        """Return how a message is tracked, or ``None`` if it is not.

        Its attribute ``tracking`` has precedence over its header ``X-Tracking``, and both over
        ``TRACKING_MAIL``.

        Raises:
            TypeError: what was asked for is not understood; the message says what.
        """
        asked: object = getattr(message, "tracking", None)
        if asked is None:
            asked = header(message, HEADER)
        if asked is None:
            asked = load_rule()(message)
        options = cls._from(asked)
        if options is not None and _goes_to_testers(message):
            return replace(options, test=True)
        return options

    @classmethod
    def _from(cls, asked: object) -> "Options | None":
        if isinstance(asked, Options):
            return asked
        if asked is None or asked is False:
            return None
        if asked is True:
            return cls()
        if isinstance(asked, str):
            return cls(campaign=asked)
        if not isinstance(asked, Mapping):
            raise TypeError(
                f"{asked!r} does not say how to track a message: use a dict, the slug of a "
                "campaign, True or False."
            )
        known = {name: asked[name] for name in cls.__dataclass_fields__ if name in asked}
        rest = {name: value for name, value in asked.items() if name not in known}
        return cls(**{**known, "data": {**known.get("data", {}), **rest}})


def _goes_to_testers(message: EmailMessage) -> bool:
    testers = {address.lower() for address in conf.test_recipients}
    recipients = message.recipients() if testers else ()
    return bool(recipients) and all(
        parseaddr(str(recipient))[1].lower() in testers for recipient in recipients
    )


def load_rule() -> Rule:
    """Return the rule of ``TRACKING_MAIL``.

    Raises:
        ImportError: it is the dotted path of nothing.
    """
    rule = conf.mail
    if callable(rule):
        return rule
    if rule in (ALL, OPT_IN):
        return lambda message: rule == ALL
    found: Rule = import_string(rule)
    return found
