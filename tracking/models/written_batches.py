"""Which batches of hits are written."""

from django.db import models
from django.utils import timezone


class WrittenBatch(models.Model):
    """A batch that is written, noted in the same transaction. Not shown to people.

    By it a batch that is delivered again is known, and who has sent it to a worker learns
    that it has arrived.
    """

    #: What :func:`tracking.recording.written_batches.batch_key` says of the batch.
    id = models.UUIDField(primary_key=True, editable=False)
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "tracking_receipt"  # the name of earlier versions
        verbose_name_plural = "written batches"
        indexes = [models.Index(fields=["time"], name="tracking_receipt_time")]

    def __str__(self) -> str:
        return str(self.pk)
