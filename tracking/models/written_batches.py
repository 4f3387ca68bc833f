"""Batches of hits that are saved."""

from django.db import models
from django.utils import timezone


class WrittenBatch(models.Model):
    """A batch that was saved, in the same transaction as its rows. Not shown in the admin.

    It shows that a batch was delivered before, and tells the sender that it has arrived.
    """

    #: The key from :func:`tracking.recording.written_batches.batch_key`.
    id = models.UUIDField(primary_key=True, editable=False)
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "tracking_receipt"  # the name of earlier versions
        verbose_name_plural = "written batches"
        indexes = [models.Index(fields=["time"], name="tracking_receipt_time")]

    def __str__(self) -> str:
        return str(self.pk)
