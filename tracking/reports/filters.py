"""Filters of reports, as users ask for them.

    filters = Filters.from_query({"country": "DE", "page": "/tea/"})

Not every filter applies to every figure: a visit, for example, has no clicked link. Such a figure
is unknown (``None``), and never that of the whole site.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import router
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tracking.enrichment.referrers import Channel, source_named
from tracking.enrichment.user_agents import Device
from tracking.hits import Reference
from tracking.models import DailyCount, PageView, Source
from tracking.reports.periods import BadQuery, Period
from tracking.rollups import completeness
from tracking.rollups.days import day_of
from tracking.rollups.filtered_counts import Condition
from tracking.rollups.site_counts import NO_FILTER, Where

#: The value in a query string for rows without a value, such as visits without a referrer.
NONE = "(none)"

#: Precedes a real value that looks the same: some links have ``utm_medium=(none)``.
_ESCAPE = "\\"

#: The maximum length of a value: that of the columns.
MAX_LENGTH = 2_000

#: The titles of the filters.
TITLES = {
    "page": gettext_lazy("Page"),
    "referrer": gettext_lazy("Referrer"),
    "source": gettext_lazy("Source"),
    "medium": gettext_lazy("Medium"),
    "campaign": gettext_lazy("Campaign"),
    "country": gettext_lazy("Country"),
    "device": gettext_lazy("Device"),
    "browser": gettext_lazy("Browser"),
    "os": gettext_lazy("System"),
    "link": gettext_lazy("Link"),
    "mailing": gettext_lazy("Mailing"),
}

#: The filters about the browser, which apply to visits and beacons.
_BROWSER_COLUMNS = ("country", "device", "browser", "os")
#: The filters by UTM parameters, which apply to visits and to ``Source`` rows.
_PARAMETERS = ("source", "medium", "campaign")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """The filters of a report. ``None`` is no filter, ``""`` is rows without a value.

    Attributes:
        page: the path of a page of a visit.
        referrer: the site that a visit came from: the name of a well-known one, else its host.
        source: the UTM source of a visit; the slug of a ``Source`` that a beacon has.
        medium: likewise, its medium.
        campaign: likewise, its campaign.
        country: ISO 3166-1, two letters.
        device: one of :class:`tracking.enrichment.user_agents.Device`.
        browser: the name of a browser.
        os: the name of an operating system.
        link: the URL that a click was sent to.
        mailing: the source object of beacons, as in ``"shop.affiliate:7"``.
    """

    page: str | None = None
    referrer: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    country: str | None = None
    device: str | None = None
    browser: str | None = None
    os: str | None = None
    link: str | None = None
    mailing: str | None = None

    @classmethod
    def from_query(cls, params: Mapping[str, Any]) -> Self:
        """Return the filters of a query string. Empty parameters are no filters.

        Args:
            params: the attributes by name, ``"(none)"`` for rows without a value.

        Raises:
            BadQuery: if there is no such value.
        """
        values = {}
        for field in fields(cls):
            text = str(params.get(field.name) or "")
            if text:
                values[field.name] = _checked(field.name, _value(text))
        return cls(**values)

    def __bool__(self) -> bool:
        return bool(self.active())

    @property
    def is_about_browser(self) -> bool:
        """Whether a filter is about the reader's browser or country, which mail proxies hide."""
        return any(getattr(self, name) for name in _BROWSER_COLUMNS)

    def active(self) -> dict[str, str]:
        """Return the filters that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def as_query(self) -> dict[str, str]:
        """Return the parameters of a query string for these filters."""
        return {name: spelled(value) for name, value in self.active().items()}

    def where(self) -> Where:
        """Return the conditions on the rows to count."""
        if not self:
            return NO_FILTER
        return Where(
            visit=self._of_visits(""),
            pageview=self._of_visits("visit__"),
            opens=self._of_beacons() if self.link is None else None,
            clicks=self._of_beacons(),
        )

    def condition(self) -> Condition:
        """Return the conditions with all that they depend on."""
        parts = [sorted(self.active().items()), sorted(self._our_sources() or ())]
        return Condition(json.dumps(parts), self.where())

    def _of_visits(self, prefix: str) -> Q | None:
        if self.link is not None or self.mailing is not None:
            return None
        columns = {name: getattr(self, name) for name in (*_BROWSER_COLUMNS, *_PARAMETERS)}
        condition = Q(
            **{f"{prefix}{name}": value for name, value in columns.items() if value is not None}
        )
        if self.referrer is not None:
            condition &= Q(**{f"{prefix}referrer_site": self.referrer})
            # A page of the site itself is no source, and not the same as none.
            condition &= ~Q(**{f"{prefix}channel": Channel.INTERNAL})
        if self.page is not None and prefix:
            condition &= Q(url=self.page)
        elif self.page is not None:
            condition &= Q(Exists(PageView.objects.filter(visit=OuterRef("pk"), url=self.page)))
        return condition

    def _of_beacons(self) -> Q | None:
        if self.page is not None or self.referrer is not None:
            return None
        columns = {name: getattr(self, name) for name in _BROWSER_COLUMNS}
        condition = Q(**{name: value for name, value in columns.items() if value is not None})
        if self.link is not None:
            condition &= Q(url=self.link)
        if self.mailing is not None:
            reference = reference_of(self.mailing)
            condition &= Q(source_type=type_of(reference), source_id=reference.pk)
        return condition & self._of_our_sources()

    def _of_our_sources(self) -> Q:
        keys = self._our_sources()
        if keys is None:
            return Q()
        return Q(source_type=ContentType.objects.get_for_model(Source), source_id__in=keys)

    def _our_sources(self) -> list[str] | None:
        """Return the keys of the ``Source`` rows with the UTM parameters, if any is a filter."""
        names = {"source": "slug", "medium": "medium", "campaign": "campaign"}
        wanted = {
            column: value
            for name, column in names.items()
            if (value := getattr(self, name)) is not None
        }
        if not wanted:
            return None
        return [str(pk) for pk in Source.objects.filter(**wanted).values_list("pk", flat=True)]


def deleted_until(period: Period) -> date | None:
    """Return the last day of a period of which rows may have been deleted, or ``None``.

    Filters read rows: they find too few on the days up to it.

    Args:
        period: the days.
    """
    using = router.db_for_read(DailyCount)
    until = max(completeness.deleted_until(using).values(), default=period.start)
    return min(day_of(until), period.last) if until > period.start else None


def spelled(value: str) -> str:
    """Return a value as query strings have it. ``""`` is rows without a value."""
    if not value:
        return NONE
    return _ESCAPE + value if value.lstrip(_ESCAPE) == NONE else value


def _value(text: str) -> str:
    if text == NONE:
        return ""
    return text.removeprefix(_ESCAPE) if text.lstrip(_ESCAPE) == NONE else text


def reference_of(text: str) -> Reference:
    """Return the reference of a text such as ``"shop.affiliate:7"``.

    Raises:
        BadQuery: if the site has no such model.
    """
    label, _colon, pk = text.partition(":")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        model = None
    if model is None or not pk:
        raise BadQuery(_("“%s” is not an object. Write app.model:key.") % text[:40])
    concrete = model._meta.concrete_model or model
    return Reference(concrete._meta.label_lower, pk)


def type_of(reference: Reference) -> ContentType:
    """Return the content type of a reference.

    Raises:
        LookupError: if the site has no such model.
    """
    return ContentType.objects.get_for_model(apps.get_model(reference.label))


def _checked(name: str, value: str) -> str:
    title = str(TITLES[name])
    if len(value) > MAX_LENGTH or "\0" in value:
        raise BadQuery(_("%s: unknown value.") % title)
    try:
        value.encode()
    except UnicodeError:  # half a surrogate pair, which no database takes
        raise BadQuery(_("%s: unknown value.") % title) from None
    if name == "country" and value:
        return _country(value)
    if name == "device" and value and value not in Device.values:
        raise BadQuery(_("%s: unknown value.") % title)
    if name == "referrer":
        return source_named(value).source if value else value
    if name == "mailing":
        reference = reference_of(value)
        return f"{reference.label}:{reference.pk}"
    return value


def _country(value: str) -> str:
    if len(value) != 2 or not (value.isascii() and value.isalpha()):  # noqa: PLR2004 - ISO 3166-1
        raise BadQuery(_("Write a country as two letters, such as DE."))
    return value.upper()
