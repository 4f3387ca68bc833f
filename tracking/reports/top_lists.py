"""The lists of the overview: the top pages, referrers, countries, devices and so on."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext_lazy

from tracking import generic_references
from tracking.enrichment.country_names import country_name
from tracking.enrichment.referrers import Channel, source_named
from tracking.enrichment.user_agents import Device
from tracking.hits import Reference
from tracking.reports.figures import Listing, Row, Text, share
from tracking.reports.filters import Filters, spelled
from tracking.reports.periods import Period
from tracking.rollups import read, site_counts
from tracking.rollups.counts import Counts
from tracking.rollups.read import ByValue, Days
from tracking.rollups.site_counts import NO_FILTER, Where

#: The number of lines of a list on the overview.
TOP = 10

#: The maximum number of lines of a page.
MAX_LIMIT = 1_000


class _ListKind(NamedTuple):
    title: Text
    column: Text
    facets: Sequence[str]
    filter_key: str
    #: The count by which the list is sorted.
    figure: str = "uniques"
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
    return _ListKind(title, _VISITORS, [facet], filter_key, "uniques", labels, none, further)


#: All lists, in the order in which they are shown.
LISTS: Mapping[str, _ListKind] = {
    "pages": _ListKind(
        gettext_lazy("Pages"),
        gettext_lazy("Page views"),
        ["pages"],
        "page",
        "total",
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
        "total",
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
        "total",
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
    where = (filters or Filters()).where()
    days = Days.between(period.first, period.last) if where is NO_FILTER else None
    return build_listing(
        name, counts_by_value(LISTS[name].facets, period, where, days), limit, max(offset, 0)
    )


def build_listing(name: str, sums: ByValue, limit: int | None, offset: int) -> Listing:
    """Return a part of one list.

    Args:
        name: one of :data:`LISTS`.
        sums: the result of :func:`counts_by_value` for its facets, and perhaps more.
        limit: the maximum number of lines, or ``None`` for all.
        offset: the number of lines to skip.
    """
    kind = LISTS[name]
    parts = {
        facet: {
            kind.spelled(value): numbers
            for value, numbers in sums[facet].items()
            if value or kind.none
        }
        for facet in kind.facets
    }
    figures: Counter[str] = Counter()
    for of_facet in parts.values():
        for value, numbers in of_facet.items():
            figures[value] += getattr(numbers, kind.figure)
    # Equal figures are sorted by value, so that the pages of a list fit together.
    in_order = sorted(figures, key=lambda value: (-figures[value], value))
    shown = in_order[offset : None if limit is None else offset + min(max(limit, 0), MAX_LIMIT)]
    labels = kind.labels(shown)
    whole = figures.total()
    return Listing(
        name=name,
        title=kind.title,
        column=kind.column,
        rows=tuple(
            Row(
                value=value,
                label=labels.get(value, value) or str(kind.none),
                figure=figures[value],
                share=share(figures[value], whole),
                filter_key=kind.filter_key,
                filter_value=spelled(value),
                numbers={
                    further: getattr(parts[facet].get(value, Counts()), column)
                    for further, (facet, column) in kind.further.items()
                },
            )
            for value in shown
        ),
        total=len(in_order),
        offset=offset,
        whole=whole,
    )


def counts_by_value(
    facets: Sequence[str], period: Period, where: Where, days: Days | None
) -> ByValue:
    """Return the counts of a period by facet and value.

    Args:
        facets: the facets.
        period: the days.
        where: conditions on the rows.
        days: the days and which of them are counted, or ``None`` to count from rows.
    """
    if days is not None:
        return read.by_value(facets, days.within(period.first, period.last))
    sums: ByValue = {facet: defaultdict(Counts) for facet in facets}
    intervals = period.intervals()
    for facet in facets:
        for (_cell, value), numbers in site_counts.count(facet, intervals, where).items():
            sums[facet][value] = sums[facet][value].plus(numbers)
    return sums
