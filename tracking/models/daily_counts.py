"""Counted days: totals that outlive the rows they were counted from."""

import hashlib

from django.db import models
from django.utils.translation import gettext_lazy as _


def thing_key(scope: str, facet: str, value: str) -> str:
    """Return the key of a count: 32 characters, however long the value is.

    Databases cannot index text of any length, and some compare without regard to case.

    Args:
        scope: the source, or ``""`` for the whole site.
        facet: the attribute by which rows are grouped, such as the country.
        value: the value of that attribute.
    """
    text = "\0".join((scope, facet, value))
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


class DailyCount(models.Model):
    """One count on one day. Written by :mod:`tracking.rollups` only.

    It outlives the rows that were counted. Old months are stored as one, on their first day:
    :mod:`tracking.rollups.months`.
    """

    day = models.DateField(_("day"), help_text=_("In the time zone of the site."))
    #: Scope, facet and value as one key: what is counted.
    key = models.CharField(max_length=32, editable=False)
    #: The source, as the keys of its content type and row; "" for the whole site.
    scope = models.CharField(_("scope"), max_length=280, blank=True)
    facet = models.CharField(_("facet"), max_length=20)
    value = models.TextField(_("value"), blank=True)
    #: ``value`` is "" then. (The default of the database is for processes that still run the code
    #: from before the column.)
    is_other = models.BooleanField(
        _("other values"),
        default=False,
        db_default=False,
        help_text=_("All values that are not among the largest of the day, as one."),
    )
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
        value = _("Other") if self.is_other else self.value
        return f"{self.day} {self.facet} {value}"


class CountedDay(models.Model):
    """A day that is counted: what has no ``DailyCount`` was 0. Not shown in the admin."""

    day = models.DateField(primary_key=True)
    #: The time zone of the day.
    zone = models.CharField(max_length=64)
    #: A new value each time the day is counted.
    version = models.UUIDField()

    def __str__(self) -> str:
        return str(self.day)


class LateDay(models.Model):
    """A day that got rows after it may have been counted. Not shown in the admin.

    Many writers may add the same day. Rows are only inserted, so no writer waits for another.
    """

    day = models.DateField()

    class Meta:
        indexes = [models.Index(fields=["day"], name="tracking_lateday_day")]

    def __str__(self) -> str:
        return str(self.day)
