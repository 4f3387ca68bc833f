"""Messages that were sent, by their ids, and events of mail providers that wait for theirs."""

from django.db import models
from django.utils import timezone

from tracking.models.indexes import NotNullIndex


class SentMessage(models.Model):
    """Where the beacon of a sent message is. Not shown in the admin.

    Events of mail providers name a message by its id, which no index of the beacons knows.
    """

    #: The key from :func:`tracking.hits.message_key`.
    id = models.UUIDField(primary_key=True, editable=False)
    #: The key of the beacon. That may be written later, or be deleted already.
    beacon_id = models.UUIDField()
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["time"], name="tracking_sentmessage_time")]

    def __str__(self) -> str:
        return str(self.pk)


class UnmatchedEvent(models.Model):
    """An event of a mail provider whose message is not known, or not yet. Not shown in the admin.

    It becomes a beacon when its message is written. Later it becomes one with the campaign that
    the event itself names, or stays here until it expires.
    """

    #: The key of the beacon this becomes.
    id = models.UUIDField(primary_key=True, editable=False)
    #: The key of the message.
    message = models.UUIDField(null=True)
    #: The event, as :meth:`tracking.hits.Hit.as_dict` says.
    hit = models.JSONField()
    time = models.DateTimeField(default=timezone.now)
    #: When its message is looked for next, or ``None`` if that is over.
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["message"], name="tracking_unmatched_message"),
            models.Index(fields=["time"], name="tracking_unmatched_time"),
            NotNullIndex(fields=["due_at"], name="tracking_unmatched_due"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
