"""The shop's own models, and the role that each has for a beacon."""

import uuid

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone


class Affiliate(models.Model):
    """A source: sends readers to the shop."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)

    beacons = GenericRelation(
        "tracking.Beacon",
        content_type_field="source_type",
        object_id_field="source_id",
        related_query_name="affiliate",
    )

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """A target: links lead to its page (``get_absolute_url``)."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    description = models.TextField()
    price = models.DecimalField(max_digits=6, decimal_places=2)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the URL of the page."""
        return reverse("product", args=[self.slug])


class Offer(models.Model):
    """A target without a page of its own: links lead to ``get_beacon_url``."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="offers")
    code = models.SlugField(unique=True)
    percent = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.percent}% off {self.product}"

    def get_beacon_url(self) -> str:
        """Return the URL that links to the offer lead to."""
        return f"{self.product.get_absolute_url()}?code={self.code}"


class Subscriber(models.Model):
    """An entity: receives the mail."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="subscribers")
    last_seen = models.DateTimeField(null=True, blank=True)

    beacons = GenericRelation(
        "tracking.Beacon",
        content_type_field="entity_type",
        object_id_field="entity_id",
    )

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email

    def beacon_update(self, request: HttpRequest) -> None:
        """Remember when the subscriber was last seen. The tracking view saves the change."""
        self.last_seen = timezone.now()
