"""Visitors, their visits and page views."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from tracking.conf import conf
from tracking.db.column_values import latest_storable_time
from tracking.enrichment.referrers import Channel
from tracking.enrichment.verdict_rules import Label
from tracking.hits import uuid7
from tracking.models.base import EnrichmentColumns
from tracking.models.fields import SoftForeignKey
from tracking.models.indexes import NotNullIndex

#: A visit ends after this long without a page view.
VISIT_GAP = timedelta(minutes=30)

#: Bytes of a visitor's key.
KEY_BYTES = 16


def random_key() -> str:
    """Return a new key of a visitor: 22 characters that nobody can guess."""
    return secrets.token_urlsafe(KEY_BYTES)


def url_key(url: str) -> str:
    """Return the key of a page: 16 characters that an index can hold, however long its path is."""
    return hashlib.blake2b(url.encode(errors="replace"), digest_size=8).hexdigest()


class UrlKeyField(models.CharField):  # type: ignore[type-arg]
    """The key of the row's ``url``, which it is made of when the row is saved."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Return the key of the instance's ``url``, and set it on the instance."""
        key = url_key(model_instance.url)  # type: ignore[attr-defined]
        setattr(model_instance, self.attname, key)
        return key


class VisitorQuerySet(models.QuerySet["Visitor"]):
    """Filters of visitors: ``Visitor.objects.active().humans()``."""

    def active(self, minutes: float | None = None) -> Self:
        """Return the visitors who saw a page recently, the latest first.

        Args:
            minutes: how long ago at most; by default ``TRACKING_TIMEOUT``.
        """
        since = timezone.now() - timedelta(minutes=conf.timeout if minutes is None else minutes)
        # A row from the future was written by a wrong clock; it would be active for years.
        until = latest_storable_time()
        return self.filter(last_update__gte=since, last_update__lte=until).order_by("-last_update")

    def humans(self) -> Self:
        """Return the visitors who are not known to be machines."""
        return self.filter(verdict=Label.HUMAN)


def _user_key() -> SoftForeignKey:
    # Users may be in another database, so a receiver (tracking.apps) clears the key of a deleted
    # user, not Django.
    return SoftForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("user"),
    )


class Visitor(EnrichmentColumns):
    """One browser, as of its last page. Written by hits only."""

    key = models.CharField(_("key"), max_length=32, unique=True, default=random_key, editable=False)
    #: The key until midnight of a visitor without a cookie who came right after it: a visit goes
    #: on, and pages of before midnight may be written later (:mod:`tracking.recording.midnight`).
    previous_key = models.CharField(max_length=32, null=True, blank=True, editable=False)
    #: Whether a cookie holds the key.
    has_cookie = models.BooleanField(default=False, db_default=False, editable=False)
    session_key = models.CharField(_("session key"), max_length=40, blank=True)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user = _user_key()
    logged_in_at = models.DateTimeField(
        _("logged in at"),
        null=True,
        blank=True,
        help_text=_("When this visitor was first seen logged in as the user."),
    )
    #: The time of the last page that read ``request.user``. Earlier pages do not change the user.
    user_known_at = models.DateTimeField(null=True, blank=True, editable=False)
    user_agent = models.TextField(_("user agent"), blank=True)
    referrer = models.TextField(
        _("referrer"), blank=True, help_text=_("The other site that the visitor came from.")
    )
    url = models.TextField(
        _("page"), blank=True, help_text=_("The last page that the visitor saw.")
    )
    #: Databases cannot index a text of any length, and some take ``/Tea`` for ``/tea``. (The
    #: default of the database is for processes that still run the code from before the column.)
    url_key = UrlKeyField(max_length=16, blank=True, default="", db_default="", editable=False)
    page_views = models.PositiveIntegerField(_("page views"), default=0)
    session_start = models.DateTimeField(_("since"), default=timezone.now)
    last_update = models.DateTimeField(_("last seen"), default=timezone.now)

    objects = VisitorQuerySet.as_manager()

    class Meta:
        verbose_name = _("visitor")
        verbose_name_plural = _("visitors")
        get_latest_by = "last_update"
        indexes = [
            models.Index(fields=["last_update"], name="tracking_visitor_update"),
            models.Index(fields=["verdict", "last_update"], name="tracking_visitor_verdict"),
            models.Index(fields=["ip_address", "last_update"], name="tracking_visitor_address"),
            models.Index(
                fields=["url_key", "verdict", "last_update"], name="tracking_visitor_page"
            ),
            NotNullIndex(fields=["previous_key"], name="tracking_visitor_previous"),
        ]

    def __str__(self) -> str:
        return str(_("Visitor %s")) % self.pk

    @property
    def time_on_site(self) -> timedelta:
        """The duration of the current visit, from its first page to its last."""
        return max(self.last_update - self.session_start, timedelta(0))


class Visit(EnrichmentColumns):
    """One visit. It ends after 30 minutes without a page."""

    #: The id of its first page view.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    #: The visitor, whose row is deleted earlier.
    visitor = SoftForeignKey(
        Visitor,
        to_field="key",
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="visits",
        db_index=False,
        verbose_name=_("visitor"),
    )
    user = _user_key()
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.TextField(_("user agent"), blank=True)
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), help_text=_("When the last page was seen."))
    entry_url = models.TextField(_("first page"), blank=True)
    exit_url = models.TextField(_("last page"), blank=True)
    page_views = models.PositiveIntegerField(_("page views"), default=0)
    referrer = models.TextField(_("referrer"), blank=True)
    #: The name of a well-known site, or else the host of the referrer, without ``www.``.
    referrer_site = models.CharField(
        _("referring site"), max_length=255, blank=True, default="", db_default=""
    )
    channel = models.CharField(
        _("channel"),
        max_length=20,
        choices=Channel,
        blank=True,
        default="",
        db_default="",
        help_text=_("How the visitor came, as the referrer says."),
    )
    source = models.CharField(_("source"), max_length=200, blank=True)
    medium = models.CharField(_("medium"), max_length=200, blank=True)
    campaign = models.CharField(_("campaign"), max_length=200, blank=True)
    term = models.CharField(_("term"), max_length=200, blank=True)
    content = models.CharField(_("content"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        get_latest_by = "started_at"
        indexes = [
            models.Index(fields=["visitor", "ended_at"], name="tracking_visit_visitor"),
            models.Index(fields=["started_at"], name="tracking_visit_started"),
            models.Index(fields=["ended_at"], name="tracking_visit_ended"),
        ]

    def __str__(self) -> str:
        started = self.started_at  # naive where the site has no time zones
        if timezone.is_aware(started):
            started = timezone.localtime(started)
        return str(_("Visit started at %s")) % date_format(started, "DATETIME_FORMAT")

    @property
    def is_bounce(self) -> bool:
        """Whether the visit has only one page."""
        return self.page_views == 1

    @property
    def length(self) -> timedelta:
        """The duration, from the first page to the last."""
        return self.ended_at - self.started_at


class PageView(models.Model):
    """One page that a visitor saw."""

    #: Made when the page is served, so saving a hit twice makes one row.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    visit = models.ForeignKey(
        Visit, on_delete=models.CASCADE, related_name="pages", verbose_name=_("visit")
    )
    time = models.DateTimeField(_("time"))
    url = models.TextField(_("page"))

    class Meta:
        verbose_name = _("page view")
        verbose_name_plural = _("page views")
        get_latest_by = "time"
        indexes = [models.Index(fields=["time"], name="tracking_pageview_time")]

    def __str__(self) -> str:
        return self.url
