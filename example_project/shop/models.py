"""The shop's own models, and what each of them is to a beacon."""

import uuid

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone


class Affiliate(models.Model):
    """Whoever sends readers to the shop: a source."""

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
    """A target: links lead to its page, as ``get_absolute_url`` says."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    description = models.TextField()
    price = models.DecimalField(max_digits=6, decimal_places=2)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("product", args=[self.slug])


class Offer(models.Model):
    """A target that leads elsewhere than to a page of its own, as ``get_beacon_url`` says."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="offers")
    code = models.SlugField(unique=True)
    percent = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.percent}% off {self.product}"

    def get_beacon_url(self) -> str:
        return f"{self.product.get_absolute_url()}?code={self.code}"


class Subscriber(models.Model):
    """Who gets the mail: an entity."""

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
        """Take note of a visit; the tracking view saves what is changed here."""
        self.last_seen = timezone.now()
