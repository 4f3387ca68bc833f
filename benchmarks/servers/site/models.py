"""The table of a site that tracks by hand."""

from django.db import models
from django.utils import timezone


class Opened(models.Model):
    """One opened mail: the same columns as a beacon, without indexes."""

    time = models.DateTimeField(default=timezone.now)
    data = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.TextField(blank=True)
    referrer = models.TextField(blank=True)

    class Meta:
        app_label = "site"

    def __str__(self) -> str:
        return f"{self.time}: {self.data}"
