"""What all processes of a site agree on."""

from django.db import models


class Agreed(models.Model):
    """A value that every process of the site reads, such as the version of the ban list.

    A handful of rows, read whole by one short query. Not shown to people.
    """

    name = models.CharField(max_length=50, primary_key=True)
    value = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
