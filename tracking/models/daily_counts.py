"""What was counted once, so that nobody has to count it again."""

import hashlib

from django.db import models
from django.utils.translation import gettext_lazy as _


def thing_key(scope: str, facet: str, value: str) -> str:
    """Return the key of what is counted: 32 characters, whatever its value is.

    Databases cannot index texts of any length, and some take capitals for small letters.

    Args:
        scope: the source, ``""`` for the whole site.
        facet: how rows are sorted.
        value: which of them are counted.
    """
    text = "\0".join((scope, facet, value))
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


class DailyCount(models.Model):
    """What there was of one thing on one day. Written by :mod:`tracking.rollups` only.

    It outlives the rows that were counted.
    """

    day = models.DateField(_("day"), help_text=_("In the time zone of the site."))
    #: Scope, facet and value as one: what is counted.
    key = models.CharField(max_length=32, editable=False)
    #: The source, as the key of its content type and its own, or "" for the whole site.
    scope = models.CharField(_("scope"), max_length=280, blank=True)
    facet = models.CharField(_("facet"), max_length=20)
    value = models.TextField(_("value"), blank=True)
    total = models.BigIntegerField(_("total"), default=0)
    uniques = models.BigIntegerField(_("uniques"), default=0)
    bounces = models.BigIntegerField(_("bounces"), default=0)
    microseconds = models.BigIntegerField(_("duration of visits in microseconds"), default=0)
    pages = models.BigIntegerField(_("pages of visits"), default=0)

    class Meta:
        verbose_name = _("daily count")
        verbose_name_plural = _("daily counts")
        constraints = [
            models.UniqueConstraint(fields=["day", "key"], name="tracking_dailycount_once")
        ]
        indexes = [models.Index(fields=["scope", "facet", "day"], name="tracking_dailycount_scope")]

    def __str__(self) -> str:
        return f"{self.day} {self.facet} {self.value}"


class CountedDay(models.Model):
    """A day that is counted: what it has no ``DailyCount`` of was not there. Not for people."""

    day = models.DateField(primary_key=True)
    #: The time zone whose day it is.
    zone = models.CharField(max_length=64)
    #: Another each time that the day is counted.
    version = models.UUIDField()

    def __str__(self) -> str:
        return str(self.day)


class LateDay(models.Model):
    """A day for which rows were written after it could be counted. Not for people.

    Many writers may note the same day: rows are only added, so that none waits for another.
    """

    day = models.DateField()

    class Meta:
        indexes = [models.Index(fields=["day"], name="tracking_lateday_day")]

    def __str__(self) -> str:
        return str(self.day)
