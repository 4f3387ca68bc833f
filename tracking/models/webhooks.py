"""Endpoints of webhooks, and the messages that wait for delivery."""

import base64
import secrets
from typing import Any, Self

from django.db import models
from django.db.models.signals import post_save
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.hits import uuid7
from tracking.models.change_signals import (
    ChangeSignalModel,
    ChangeSignalQuerySet,
    signal_loaded_fixture,
)

#: The beginning of a secret, and its random bytes: Standard Webhooks asks for 24 to 64.
SECRET_PREFIX = "whsec_"  # noqa: S105 - not a secret
SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new random secret, as Standard Webhooks writes one: ``whsec_`` and base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Failure(models.TextChoices):
    """Why a message could not be delivered."""

    STATUS = "status", _("The endpoint answered with an error")
    REDIRECT = "redirect", _("The endpoint redirects, which is not followed")
    TIMEOUT = "timeout", _("The endpoint did not answer in time")
    CONNECTION = "connection", _("No connection")
    CERTIFICATE = "certificate", _("The certificate is not valid")
    ADDRESS = "address", _("The address is not public")
    URL = "url", _("The URL is not allowed")
    GONE = "gone", _("The endpoint asked for no more messages")
    EXPIRED = "expired", _("Too old: the endpoint could not be reached for days")


class WebhookEndpointQuerySet(ChangeSignalQuerySet["WebhookEndpoint"]):
    """Filters of endpoints."""

    def active(self) -> Self:
        """Return the endpoints that get messages."""
        return self.filter(active=True)


class WebhookEndpoint(ChangeSignalModel):
    """An address that gets a POST for each batch of recorded events."""

    url = models.CharField(_("URL"), max_length=1_000)
    secret = models.CharField(_("secret"), max_length=120, default=new_secret, editable=False)
    #: Signs, too, until that time: receivers change over meanwhile.
    previous_secret = models.CharField(max_length=120, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    #: Names from :mod:`tracking.webhooks.event_types`.
    types = models.JSONField(_("events"), default=list)
    sources = models.TextField(
        _("sources"),
        blank=True,
        help_text=_(
            "Only events of these sources, one per line: the slug of a source, a model such as "
            "shop.affiliate, or one object of it such as shop.affiliate:7. Empty: all events."
        ),
    )
    personal_data = models.BooleanField(
        _("personal data"),
        default=False,
        help_text=_("Send the IP address, the user agent and the visitor's key, too."),
    )
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    # The state of delivery. Written by the sender, without a signal: see ``states``.

    #: Who delivers to this endpoint, and until when nobody else does.
    lease = models.CharField(max_length=32, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    #: Failed attempts since the last success, why the last one failed, and when the next may be.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failure = models.CharField(max_length=20, choices=Failure, blank=True, editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    delivered_at = models.DateTimeField(_("last delivery"), null=True, blank=True, editable=False)
    #: Events that were dropped because too many waited.
    dropped = models.PositiveBigIntegerField(_("dropped events"), default=0, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()
    #: Changes that are none of the endpoint: no process has to reload it.
    states: "models.Manager[WebhookEndpoint]" = models.Manager()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")

    def __str__(self) -> str:
        return self.url


class WebhookMessage(models.Model):
    """One POST that was not delivered yet, or could not be: a dead letter.

    Saved in the transaction of its events. Deleted when the endpoint has accepted it.
    """

    #: What the receiver gets as ``webhook-id``, the same with each attempt.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraint: a process that does not know yet that an endpoint was deleted must not fail.
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.CASCADE,
        related_name="messages",
        db_constraint=False,
        db_index=False,
        verbose_name=_("endpoint"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    events = models.PositiveIntegerField(_("events"))
    #: Bytes of ``items``.
    size = models.PositiveIntegerField(_("size"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    #: A message that was never tried can be merged with others.
    tried_at = models.DateTimeField(_("last attempt"), null=True, blank=True)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    #: When no further attempt is made.
    expires_at = models.DateTimeField(_("expires"))
    is_dead = models.BooleanField(_("given up"), default=False)
    reason = models.CharField(_("reason"), max_length=20, choices=Failure, blank=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    #: The beginning of the last answer, or what the last attempt failed with.
    answer = models.TextField(_("last answer"), blank=True)
    #: The events as JSON, with commas between them.
    items = models.TextField()

    class Meta:
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        default_permissions = ("view", "delete")
        permissions = [("replay_webhookmessage", _("Can send webhook messages again"))]
        indexes = [
            models.Index(
                fields=["endpoint", "is_dead", "next_attempt_at"], name="tracking_webhook_next"
            ),
            models.Index(fields=["created_at"], name="tracking_webhook_created"),
        ]

    def __str__(self) -> str:
        return self.webhook_id

    @property
    def webhook_id(self) -> str:
        """What the receiver gets as ``webhook-id``."""
        return webhook_id(self.pk)


def webhook_id(key: Any) -> str:
    """Return what the receiver of a message gets as ``webhook-id``.

    Args:
        key: the primary key of the message, a UUID.
    """
    return f"msg_{key.hex}"


post_save.connect(signal_loaded_fixture, sender=WebhookEndpoint)
