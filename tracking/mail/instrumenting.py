"""Make a message of Django's trackable: links that record clicks, and a pixel.

    message = EmailMultiAlternatives("Spring letter", text, to=[subscriber.email])
    message.attach_alternative(html, "text/html")
    instrument(message, campaign="spring-letter", entity=subscriber)

The HTML changes as :mod:`tracking.mail.rewriting` says. Headers, attachments, AMP parts and images
stay as they are; so does plain text, unless ``text=True`` is asked for.
"""

import re
from functools import cached_property
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.db.models import Model
from django.urls import reverse

from tracking import links
from tracking.conf import conf
from tracking.hits import Reference
from tracking.log_limits import get_logger
from tracking.mail.campaigns import FindSource, campaign_source
from tracking.mail.message_parts import parts, unsubscribe_urls
from tracking.mail.options import Options
from tracking.mail.rewriting import add_utm, rewrite, rewrite_text
from tracking.mail.unsubscribe_headers import add_unsubscribe_headers
from tracking.recipient_consent.decisions import decide_for_message
from tracking.recording.provider_events import LINKS, PIXEL

logger = get_logger(__name__)


def instrument(
    message: EmailMessage,
    *,
    source: Model | None = None,
    campaign: str = "",
    entity: Model | None = None,
    **options: Any,
) -> EmailMessage:
    """Replace the links of a message, and add a pixel; a second call changes nothing.

    The message goes out in any case: if something fails, it stays as it is, and one line is logged.
    It is recorded as sent if :class:`tracking.mail.TrackingEmailBackend` sends it.

    Args:
        message: the message to change.
        source: the saved row of the campaign; any model.
        campaign: the slug of a ``Source``, which is made on first use, in place of ``source``.
        entity: the saved row of the recipient; any model.
        options: the other attributes of :class:`~tracking.mail.options.Options`; what is none of
            them goes into the data of the beacons.

    Returns:
        The message.
    """
    asked = {"source": source, "campaign": campaign, "entity": entity, **options}
    message.tracking = asked  # type: ignore[attr-defined]
    track(message)
    return message


def track(message: EmailMessage, find_source: FindSource = campaign_source) -> "Tracking | None":
    """Change a message as its options ask; log one line if that fails.

    Args:
        message: the message.
        find_source: finds the source of a campaign.

    Returns:
        How the message is tracked, or ``None`` if it is not.
    """
    try:
        if (options := Options.of(message)) is None:
            return None
        tracking = Tracking(message, options, find_source)
        tracking.apply()
    except Exception as error:  # noqa: BLE001 - whatever fails, the message goes out
        logger.error("A message goes out without tracking: %r", error)  # noqa: TRY400 - one line
        return None
    return tracking


class Tracking:
    """How one message is tracked.

    Args:
        message: the message.
        options: what is asked for it.
        find_source: finds the source of a campaign.

    Attributes:
        options: what is asked for the message.
        source: the row of the campaign, if there is one.
        entity: the row of the only recipient, if it is known.
        added: which of ``"pixel"`` and ``"links"`` the message has, once it is changed.

    Raises:
        ImproperlyConfigured: links would have no host.
        TypeError, ValueError: the campaign or the recipient is no saved row, or the data cannot be
            part of a URL.
        Exception: the campaign can be neither found nor made.
    """

    def __init__(
        self,
        message: EmailMessage,
        options: Options,
        find_source: FindSource = campaign_source,
    ) -> None:
        if not conf.base_url:
            raise ImproperlyConfigured("links in mail need a host; set TRACKING_BASE_URL.")
        self.message = message
        self.options = options
        self.source = options.source or find_source(options.campaign)
        self.entity = options.entity
        for row in (self.source, self.entity):
            if row is not None:
                Reference.to(row)  # raises an error now, and not when the message has gone out
        if self.entity is not None and len(message.recipients()) > 1:
            self.entity = None
            logger.warning(
                "A message has several recipients, who get the same links: opens and clicks count "
                "for its campaign and for no recipient. Send one message to each recipient."
            )
        self.added: set[str] = set()
        addresses = [str(address) for address in message.recipients()]
        self.consent = decide_for_message(options.entity, addresses)
        self._urls: dict[str, str | None] = {}
        self._pixel = links.pixel_url((), options.data, **self._references())

    def apply(self) -> None:
        """Change the message, or leave it as it is if it has been changed before.

        Raises:
            Exception: something fails; the message is unchanged.
        """
        left_alone = unsubscribe_urls(self.message)
        changes = []
        for part in parts(self.message):
            if part.is_html:
                has_pixel = self._has_pixel(part.text)
                add_pixel = self.options.pixel and self.consent.opens and not has_pixel
                pixel = self._pixel if add_pixel else None
                if has_pixel or add_pixel:
                    self.added.add(PIXEL)
                text = rewrite(part.text, self._url, pixel=pixel, unsubscribe_urls=left_alone)
            elif self.options.text:
                text = rewrite_text(part.text, self._url, unsubscribe_urls=left_alone)
            else:
                continue
            changes.append((part, text))
        for part, text in changes:
            part.replace(text)
        if self.options.unsubscribe:
            add_unsubscribe_headers(self.message, self.entity, self.source)

    @property
    def links(self) -> int:
        """How many different links of the message are tracked; 0 if tags have made some."""
        if any(map(self._is_tracked, self._urls)):
            return 0
        return sum(url is not None for url in self._urls.values())

    @cached_property
    def _prefix(self) -> str:
        """The beginning of this site's URLs of pixels and links."""
        return links.absolute(reverse("tracking:redirect", args=["x"]))[:-1]

    def _has_pixel(self, html: str) -> bool:
        """Return whether there is a pixel already, made by a tag or by an earlier call."""
        return re.search(rf"{re.escape(self._prefix)}[^\s\"'<>?#]+\.gif", html) is not None

    def _is_tracked(self, destination: str) -> bool:
        """Return whether a link records a click already. A token is longer than most words."""
        return self._is_own(destination, r"to/[0-9]|[^/?#]{20,}\Z")

    def _is_own(self, destination: str, pattern: str) -> bool:
        """Return whether a link is one of this app whose URL goes on like this."""
        if not destination.startswith(self._prefix):
            return False
        return re.match(pattern, destination.removeprefix(self._prefix)) is not None

    def _url(self, destination: str) -> str | None:
        """Return the URL of the redirect to a destination, or ``None`` to leave the link."""
        if destination not in self._urls:
            self._urls[destination] = self._make_url(destination)
        return self._urls[destination]

    def _make_url(self, destination: str) -> str | None:
        if self._is_tracked(destination):
            self.added.add(LINKS)
            return None
        if (
            not self.options.links
            or not self.consent.clicks
            or self._is_own(destination, r"(?:preferences|unsubscribe)/")
        ):
            return None
        destination = add_utm(destination, self.options.utm)
        try:
            token = links.link_token(destination, (), self.options.data, **self._references())
        except ValueError as error:  # no redirect may lead there, or the token is too long
            logger.warning("A link in a message stays as it is: %s", error)
            return None
        self.added.add(LINKS)
        return self._prefix + token  # reverse() would take a third of the time of a message

    def _references(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "entity": self.entity,
            "counts": not self.options.test,
            "recipient": self.consent.recipient,
        }
