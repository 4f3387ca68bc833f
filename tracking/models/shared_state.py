"""What all processes of a site agree on."""

from django.db import models

#: How the names of the rows begin that hold a salt.
SALT_PREFIX = "salt "


class WithoutSalts(models.Manager["Agreed"]):
    """All that may be written down elsewhere, such as by ``dumpdata``. A salt may not."""

    def get_queryset(self) -> "models.QuerySet[Agreed]":
        """Return the rows that hold no salt."""
        return super().get_queryset().exclude(name__startswith=SALT_PREFIX)


class Agreed(models.Model):
    """A value that every process of the site reads, such as the version of the ban list.

    A handful of rows, read whole by one short query. Not shown to people.

    The default manager, which ``dumpdata`` uses, hides the salts; ``everything`` does not.
    """

    name = models.CharField(max_length=50, primary_key=True)
    value = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()

    objects = WithoutSalts()
    everything = models.Manager["Agreed"]()

    def __str__(self) -> str:
        return self.name
