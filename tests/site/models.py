"""A site's own models, with keys of every kind, that beacons are tied to."""

import copy
import pickle
import uuid

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from django.db.models.base import ModelState
from django.http import HttpRequest


class Affiliate(models.Model):
    """A source, that looks back at its beacons."""

    name = models.CharField(max_length=100)
    beacons = GenericRelation(
        "tracking.Beacon",
        content_type_field="source_type",
        object_id_field="source_id",
        related_query_name="affiliate",
    )

    def __str__(self) -> str:
        return self.name


class ProxyAffiliate(Affiliate):
    class Meta:
        proxy = True


class Product(models.Model):
    """A target with ``get_absolute_url`` only, and a text as its key."""

    sku = models.CharField(max_length=20, primary_key=True)

    def get_absolute_url(self) -> str:
        return f"/products/{self.sku}/"


class Offer(models.Model):
    """A target that has both methods."""

    url = models.CharField(max_length=500)

    def get_beacon_url(self) -> str:
        return self.url

    def get_absolute_url(self) -> str:
        return "/not/this/one/"


class Voucher(models.Model):
    """A target whose name follows a foreign key."""

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"a voucher of {self.affiliate}"


class Leaflet(models.Model):
    """A target that has neither."""


class BrokenOffer(models.Model):
    """A target that cannot say where it leads."""

    def get_beacon_url(self) -> str:
        raise RuntimeError("no URL today")


class WagtailPage(models.Model):
    """A target that says where it leads as the pages of Wagtail do."""

    slug = models.CharField(max_length=20, blank=True)

    def get_url(self, request: HttpRequest | None = None, current_site: None = None) -> str | None:
        return f"/{self.slug}/" if self.slug else None


class Seat(models.Model):
    """A row with a key of two columns."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()

    def get_absolute_url(self) -> str:
        return f"/seats/{self.row}/{self.number}/"


class Subscriber(models.Model):
    """An entity with a UUID for a key, that saves itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(blank=True)
    seen = models.IntegerField(default=0)

    beacons = GenericRelation(
        "tracking.Beacon", content_type_field="entity_type", object_id_field="entity_id"
    )

    def beacon_update(self, request: HttpRequest) -> None:
        self.seen = models.F("seen") + 1
        self.save(update_fields=["seen"])


class Reader(models.Model):
    """An entity that leaves saving to the view, and cannot be saved without an agent."""

    user_agent = models.CharField(max_length=200, unique=True)
    note = models.CharField(max_length=20, default="as it was")

    def beacon_update(self, request: HttpRequest) -> None:
        self.user_agent = request.headers["User-Agent"]


class Diary(models.Model):
    """An entity whose ``beacon_update`` changes it in ways that are easily overlooked."""

    log = models.JSONField(default=list)
    opens = models.IntegerField(default=0)

    def beacon_update(self, request: HttpRequest) -> None:
        self.log.append("seen")
        self.opens = models.F("opens") + 1

    def __len__(self) -> int:
        return 0


class Guest(models.Model):
    """An entity with a field that is set at each save."""

    opens = models.IntegerField(default=0)
    modified = models.DateTimeField(auto_now=True)

    def beacon_update(self, request: HttpRequest) -> None:
        self.opens += 1


class StubbornGuest(Guest):
    """An entity whose ``save`` takes no arguments."""

    def save(self) -> None:
        super().save()


class GuestWithHistory(models.Model):
    """An entity that keeps a copy of what it was."""

    opens = models.IntegerField(default=0)

    def beacon_update(self, request: HttpRequest) -> None:
        before = copy.copy(self)
        before.pk = None
        before._state = ModelState()
        before.save()
        pickle.dumps(self)
        self.opens += 1


class Goodbye(models.Model):
    """An entity that deletes itself."""

    def beacon_update(self, request: HttpRequest) -> None:
        self.delete()


class Visitor(models.Model):
    """An entity without ``beacon_update``."""


class MoodyReader(models.Model):
    """An entity that raises."""

    def beacon_update(self, request: HttpRequest) -> None:
        raise RuntimeError("not today")


class PoisonousReader(models.Model):
    """An entity that breaks the transaction that it runs in."""

    def beacon_update(self, request: HttpRequest) -> None:
        Product.objects.create(sku="twice")
        Product.objects.create(sku="twice")
