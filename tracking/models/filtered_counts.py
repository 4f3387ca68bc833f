"""Counts of days with filters, kept so that the next report need not read the rows again."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class FilteredCount(models.Model):
    """The counts of one day with some filters, or the lists of some days. Not in the admin.

    Written by :mod:`tracking.rollups.filtered_counts` and :mod:`tracking.rollups.stored_lists`
    only. It may be deleted at any time. Of lists, ``day`` is the last day, ``figures`` are the
    largest values, and ``version`` is a hash of the versions of all days.
    """

    #: The filters, or the lists and their first day, as a hash.
    filter_key = models.CharField(max_length=32)
    day = models.DateField(_("day"))
    #: The version of the counted day. If that has another one, the rows have changed.
    version = models.UUIDField()
    #: Packed by :mod:`tracking.rollups.packed_counts`: figures, and the values of lists.
    figures = models.BinaryField()
    lists = models.BinaryField()
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["filter_key", "day"], name="tracking_filteredcount_once"
            )
        ]
        indexes = [models.Index(fields=["used_at"], name="tracking_filteredcount_used")]

    def __str__(self) -> str:
        return f"{self.day} {self.filter_key}"
