"""The lists of the overview: the top pages, referrers, countries, devices and so on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext_lazy

from tracking import generic_references
from tracking.enrichment.country_names import country_name
from tracking.enrichment.referrers import Channel, source_named
from tracking.enrichment.user_agents import Device
from tracking.hits import Reference
from tracking.reports.figures import OTHER_VALUES, Listing, Row, Text, share
from tracking.reports.filters import Filters, spelled
from tracking.reports.periods import Period, as_stored
from tracking.reports.site_totals import read_site
from tracking.rollups.largest_values import ListRow
from tracking.rollups.read import Days
from tracking.rollups.table_counts import ListKind

#: The number of lines of a list on the overview.
TOP = 10

#: The maximum number of lines of a page.
MAX_LIMIT = 1_000


class _ListKind(NamedTuple):
    title: Text
    column: Text
    facets: Sequence[str]
    filter_key: str
    #: Returns the labels of values.
    labels: Callable[[Sequence[str]], Mapping[str, str]] = lambda values: {}
    #: The label of rows without a value, or ``""`` to leave them out.
    none: Text = ""
    #: Further numbers of a row, each with its facet and column.
    further: Mapping[str, tuple[str, str]] = {}
    #: Returns a value as query strings have it.
    spelled: Callable[[str], str] = str


def _countries(values: Sequence[str]) -> Mapping[str, str]:
    return {value: country_name(value) for value in values if value}


def _devices(values: Sequence[str]) -> Mapping[str, str]:
    return {value: str(Device(value).label) for value in values if value in Device.values}


def _referrers(values: Sequence[str]) -> Mapping[str, str]:
    """Return the labels of well-known sites: ``Google (Search engine)``."""
    found = {value: source_named(value) for value in values}
    return {
        value: f"{value} ({Channel(site.channel).label})"
        for value, site in found.items()
        if site.channel not in {Channel.DIRECT, Channel.REFERRAL}
    }


def _source_key(value: str) -> str:
    """Return ``"shop.affiliate:7"`` for the key of a content type and 7."""
    type_id, _colon, pk = value.partition(":")
    try:
        found = ContentType.objects.get_for_id(int(type_id))
    except ContentType.DoesNotExist:  # a model that the site has removed
        return value
    return f"{found.app_label}.{found.model}:{pk}"


def _mailings(values: Sequence[str]) -> Mapping[str, str]:
    references = {value: Reference(*value.split(":", 1)) for value in values}
    found = generic_references.in_bulk(references.values())
    return {
        value: str(found[reference])
        for value, reference in references.items()
        if reference in found
    }


_VISITORS = gettext_lazy("Visitors")
_UNKNOWN = gettext_lazy("Unknown")


def _of_visits(
    title: Text,
    facet: str,
    filter_key: str,
    labels: Callable[[Sequence[str]], Mapping[str, str]] = lambda values: {},
    none: Text = "",
) -> _ListKind:
    further = {"visits": (facet, "total")}
    return _ListKind(title, _VISITORS, [facet], filter_key, labels, none, further)


#: All lists, in the order in which they are shown.
LISTS: Mapping[str, _ListKind] = {
    "pages": _ListKind(
        gettext_lazy("Pages"),
        gettext_lazy("Page views"),
        ["pages"],
        "page",
        further={"visitors": ("pages", "uniques")},
    ),
    "referrers": _of_visits(
        gettext_lazy("Referrers"), "referrers", "referrer", _referrers, gettext_lazy("Direct")
    ),
    "sources": _of_visits(gettext_lazy("Sources"), "sources", "source"),
    "mediums": _of_visits(gettext_lazy("Mediums"), "mediums", "medium"),
    "campaigns": _of_visits(gettext_lazy("Campaigns"), "campaigns", "campaign"),
    "mailings": _ListKind(
        gettext_lazy("Mailings"),
        gettext_lazy("Opens and clicks"),
        ["opened_mailings", "clicked_mailings"],
        "mailing",
        _mailings,
        further={"opens": ("opened_mailings", "total"), "clicks": ("clicked_mailings", "total")},
        spelled=_source_key,
    ),
    "countries": _of_visits(
        gettext_lazy("Countries"), "countries", "country", _countries, _UNKNOWN
    ),
    "devices": _of_visits(gettext_lazy("Devices"), "devices", "device", _devices, _UNKNOWN),
    "browsers": _of_visits(gettext_lazy("Browsers"), "browsers", "browser", none=_UNKNOWN),
    "systems": _of_visits(gettext_lazy("Systems"), "systems", "os", none=_UNKNOWN),
    "links": _ListKind(
        gettext_lazy("Links clicked"),
        gettext_lazy("Clicks"),
        ["links"],
        "link",
        further={"daily_unique_clicks": ("links", "uniques")},
    ),
}


def listing(
    name: str,
    period: Period,
    filters: Filters | None = None,
    *,
    limit: int | None = TOP,
    offset: int = 0,
) -> Listing:
    """Return a part of one list, the largest first.

    Args:
        name: one of :data:`LISTS`.
        period: the days.
        filters: the filters.
        limit: the maximum number of lines, or ``None`` for all, as for CSV.
        offset: the number of lines to skip.

    Raises:
        KeyError: if there is no such list.
    """
    filters = filters or Filters()
    days = days_of(period.first, period.last, filters)
    shown, _before = as_stored(period, days.single)
    if shown.by_month:
        days = days_of(shown.first, shown.last, filters)
    options = Page.of(limit, offset)
    found = read_site(
        days, filters, lists=kinds([name]), lists_from=days.first, **options._asdict()
    )
    return listings([name], found.lines, options)[name]


class Page(NamedTuple):
    """A page of a list.

    Attributes:
        limit: the maximum number of lines, or ``None`` for all.
        offset: the number of lines before it.
    """

    limit: int | None = TOP
    offset: int = 0

    @classmethod
    def of(cls, limit: int | None, offset: int) -> "Page":
        """Return a page within bounds."""
        return cls(None if limit is None else min(max(limit, 0), MAX_LIMIT), max(offset, 0))


def days_of(first: date, last: date, filters: Filters) -> Days:
    """Return the days from ``first`` to ``last``, and which of them are counted.

    Args:
        first: the first day.
        last: the last day, included.
        filters: the filters.
    """
    return Days.uncounted(first, last) if filters else Days.between(first, last)


def kinds(names: Iterable[str]) -> dict[str, ListKind]:
    """Return what some of :data:`LISTS` count."""
    return {name: ListKind(LISTS[name].facets, bool(LISTS[name].none)) for name in names}


def listings(names: Iterable[str], lines: Iterable[ListRow], page: Page) -> dict[str, Listing]:
    """Return a page of several lists.

    Args:
        names: some of :data:`LISTS`.
        lines: their lines.
        page: the page.
    """
    found: dict[str, list[ListRow]] = {name: [] for name in names}
    for row in lines:
        found[row.name].append(row)
    return {name: _listing(name, rows, *page) for name, rows in found.items()}


def _listing(name: str, found: Sequence[ListRow], limit: int | None, offset: int) -> Listing:
    kind = LISTS[name]
    values = [row for row in found if not row.is_other]
    end = None if limit is None else offset + limit
    shown = [row for row in values if row.place > offset and (end is None or row.place <= end)]
    spelled_values = {row.value: kind.spelled(row.value) for row in shown}
    labels = kind.labels(list(spelled_values.values()))
    whole = found[0].whole if found else 0

    def line(row: ListRow, value: str, label: str, **filtered: str) -> Row:
        return Row(
            value=value,
            label=label,
            figure=row.figure,
            share=share(row.figure, whole),
            numbers={
                further: row.numbers[2 * kind.facets.index(facet) + (column == "uniques")]
                for further, (facet, column) in kind.further.items()
            },
            **filtered,
        )

    others = [line(row, "", str(OTHER_VALUES)) for row in found if row.is_other]
    return Listing(
        name=name,
        title=kind.title,
        column=kind.column,
        rows=tuple(
            line(
                row,
                value,
                labels.get(value, value) or str(kind.none),
                filter_key=kind.filter_key,
                filter_value=spelled(value),
            )
            for row in shown
            for value in [spelled_values[row.value]]
        ),
        total=values[0].lines if values else 0,
        offset=offset,
        whole=whole,
        other=others[0] if others else None,
    )
