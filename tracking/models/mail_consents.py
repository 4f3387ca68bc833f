"""The ledger of consent: which recipients of mail agree that opens and clicks are recorded.

Only :mod:`tracking.recipient_consent` writes it: each change of a :class:`MailConsent` adds a
:class:`MailConsentChange`, and is known to all processes within a second.
"""

from typing import Any, Never

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tracking.models.change_signals import signal_loaded_fixture


class ConsentState(models.TextChoices):
    """What a recipient has said."""

    UNKNOWN = "unknown", _("Not asked")
    GRANTED = "granted", _("Granted")
    DENIED = "denied", _("Denied")


class AppendOnlyError(TypeError):
    """Code tries to change or delete rows of the ledger."""

    def __init__(self) -> None:
        super().__init__(
            "The ledger of consent keeps its rows as they are. Change what a recipient has said by "
            "grant(), deny() and withdraw() of tracking.recipient_consent."
        )


class LedgerQuerySet(models.QuerySet[Any]):
    """Rows that can be read only."""

    def update(self, **values: Any) -> Never:
        """Raise :class:`AppendOnlyError`."""
        raise AppendOnlyError

    def delete(self) -> Never:
        """Raise :class:`AppendOnlyError`."""
        raise AppendOnlyError

    def bulk_update(self, *args: Any, **kwargs: Any) -> Never:
        """Raise :class:`AppendOnlyError`."""
        raise AppendOnlyError

    for _method in (update, delete, bulk_update):
        _method.alters_data = True  # type: ignore[attr-defined]


class ConsentColumns(models.Model):
    """What a recipient has said, when and how."""

    opens = models.CharField(
        _("opens"), max_length=7, choices=ConsentState, default=ConsentState.UNKNOWN
    )
    clicks = models.CharField(
        _("clicks"), max_length=7, choices=ConsentState, default=ConsentState.UNKNOWN
    )
    changed_at = models.DateTimeField(_("time of change"), default=timezone.now)
    how = models.CharField(_("how"), max_length=50, blank=True)
    text = models.CharField(_("text shown"), max_length=200, blank=True)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        """Raise :class:`AppendOnlyError`."""
        raise AppendOnlyError


class MailConsent(ConsentColumns):
    """What one recipient of mail has said last.

    A recipient is a row of the site, or an address of which only a keyed hash is stored. The row
    stays when the recipient's own row is deleted.
    """

    #: Eight bytes by which processes know the recipient, see ``tracking.recipient_consent``.
    digest = models.BigIntegerField(unique=True, editable=False)
    #: The model of the row, such as ``shop.subscriber``; ``""`` for an address.
    label = models.CharField(_("model"), max_length=200, blank=True)
    #: The primary key of the row as text, or the hash of the address.
    key = models.CharField(_("key"), max_length=255)

    class Meta:
        verbose_name = _("mail consent")
        verbose_name_plural = _("mail consents")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=["key", "label"], name="tracking_mailconsent_key"),
            models.Index(fields=["-changed_at"], name="tracking_mailconsent_changed"),
            # All that a process reads when it starts, in its order.
            models.Index(fields=["digest", "opens", "clicks"], name="tracking_mailconsent_load"),
        )

    def __str__(self) -> str:
        return f"{self.label} {self.key}".strip()


class MailConsentChange(ConsentColumns):
    """What a recipient has said at one time. Written once, never changed."""

    consent = models.ForeignKey(MailConsent, models.PROTECT, related_name="changes")

    class Meta:
        verbose_name = _("change of consent")
        verbose_name_plural = _("changes of consent")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.consent_id}: {self.opens}, {self.clicks}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row.

        Raises:
            AppendOnlyError: it is there already.
        """
        if not self._state.adding:
            raise AppendOnlyError
        super().save(*args, **kwargs)


models.signals.post_save.connect(signal_loaded_fixture, sender=MailConsent)
