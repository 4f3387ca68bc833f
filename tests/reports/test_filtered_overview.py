"""Filtered reports are those of a loop: for every filter and pair, before and after all changes."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from django.test import override_settings

from tests.site.models import Affiliate
from tests.support import brute_force
from tests.support.brute_force import custom_period
from tracking import retention
from tracking.hits import PageHit, Reference
from tracking.models import FilteredCount, LateDay, PageView, Source
from tracking.recording import write
from tracking.reports import Filters, overview
from tracking.reports.top_lists import LISTS
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)
PERIOD = custom_period("2026-03-29", "2026-03-31")
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)

#: The values of each filter, and the conditions on visits, pages and beacons; ``None`` where a
#: filter does not apply.
ON_VISITS = {
    "page": (["/tea/", "/nowhere/"], None),
    "referrer": (["", "search.example", "blog.example"], "referrer_site"),
    "source": (["", "letter", "ad"], "source"),
    "medium": (["", "email"], "medium"),
    "campaign": (["", "spring"], "campaign"),
    "country": (["", "DE"], "country"),
    "device": (["desktop"], "device"),
    "browser": (["Firefox"], "browser"),
    "os": (["Linux", "Windows"], "os"),
    "link": (brute_force.LINKS[:2], None),
    "mailing": (["site.affiliate:%s", "tracking.source:%s"], None),
}
OF_BROWSERS = ("country", "device", "browser", "os")
OF_SOURCES = {"source": "slug", "medium": "medium", "campaign": "campaign"}

#: Lists of visits, and their columns.
COLUMNS = {
    "sources": "source", "mediums": "medium", "campaigns": "campaign", "countries": "country",
    "devices": "device", "browsers": "browser", "systems": "os",
}  # fmt: skip


@pytest.fixture
def sources():
    return [
        Affiliate.objects.create(name="letter"),
        Source.objects.create(name="letter", slug="letter", medium="email", campaign="spring"),
    ]


@pytest.fixture
def traffic(sources):
    return hits(sources, 1)


def hits(sources, seed, number=250):
    return brute_force.traffic(
        FIRST,
        LAST,
        seed=seed,
        number=number,
        sources=[Reference.to(source) for source in sources],
        entities=brute_force.readers(4) if seed == 1 else (),
    )


def chosen(sources):
    """Yield filters: each alone, and each pair."""
    values = {name: list(some) for name, (some, _column) in ON_VISITS.items()}
    values["mailing"] = [
        text % source.pk for text, source in zip(values["mailing"], sources, strict=True)
    ]
    for name, some in values.items():
        for value in some:
            yield {name: value}
    for one, other in combinations(values, 2):
        yield {one: values[one][-1], other: values[other][0]}


def conditions(filters):
    """Return what a visit, a page and a beacon must be; ``None`` where a filter does not apply."""
    of_visits = not {"link", "mailing"} & set(filters)
    of_beacons = not {"page", "referrer"} & set(filters)
    seen = {page.visit_id for page in PageView.objects.filter(url=filters.get("page", ""))}
    wanted = {ON_VISITS[name][1]: value for name, value in filters.items() if ON_VISITS[name][1]}
    slugs = {OF_SOURCES[name]: value for name, value in filters.items() if name in OF_SOURCES}
    ours = {str(source.pk) for source in Source.objects.filter(**slugs)}
    type_of_ours = brute_force.content_type_of("tracking.source").pk

    def visit(row):
        is_internal = "referrer" in filters and row.channel == "internal"
        return not is_internal and all(getattr(row, name) == wanted[name] for name in wanted)

    def page(row):
        return visit(row.visit) and row.url == filters.get("page", row.url)

    def beacon(row):
        if slugs and not (row.source_type_id == type_of_ours and row.source_id in ours):
            return False
        if row.url != filters.get("link", row.url):
            return False
        if "mailing" in filters:
            label, _colon, key = filters["mailing"].partition(":")
            its = (brute_force.content_type_of(label).pk, key)
            if (row.source_type_id, row.source_id) != its:
                return False
        return all(getattr(row, name) == filters[name] for name in OF_BROWSERS if name in filters)

    return (
        (lambda row: visit(row) and ("page" not in filters or row.pk in seen))
        if of_visits
        else None,
        page if of_visits else None,
        beacon if of_beacons else None,
    )


def looped(filters):
    """Return figures, lists and machines of a period, counted by loops."""
    visit, page, beacon = conditions(filters)
    found = brute_force.figures(PERIOD.start, PERIOD.end, visit=visit, page=page, beacon=beacon)
    ends = PERIOD.start, PERIOD.end
    visits = brute_force.visits_between(*ends, visit) if visit else []
    pages = brute_force.pages_between(*ends, page) if page else []
    clicks = brute_force.beacons_between(*ends, "click", keep=beacon) if beacon else []
    opens = brute_force.beacons_between(*ends, "open", keep=beacon) if beacon else []
    proxied = brute_force.beacons_between(*ends, "open", "proxy", keep=beacon) if beacon else []
    if visit is None:
        names = ["visitors", "visits", "page_views", "bounce_rate", "visit_length"]
        found |= dict.fromkeys(names)
    if beacon is None or "link" in filters:
        clicks_only = {"clicks", "daily_unique_clicks"}
        found |= dict.fromkeys(set(brute_force.OF_BEACONS) - clicks_only)
        opens = proxied = []
    if beacon is None:
        found |= dict.fromkeys(["clicks", "daily_unique_clicks"])
    lists = {
        name: listed(visits, lambda row: getattr(row, column), started)  # noqa: B023
        for name, column in COLUMNS.items()
    }
    lists["referrers"] = listed(
        [row for row in visits if row.channel != "internal"],
        lambda row: row.referrer_site,
        started,
    )
    lists["pages"] = {
        value: len(rows) for value, rows in grouped(pages, lambda row: row.url).items()
    }
    lists["links"] = {
        value: len(rows) for value, rows in grouped(clicks, lambda row: row.url).items()
    }
    for name, values in lists.items():
        if not LISTS[name].none:
            values.pop("", None)
    with_source = [row for row in [*opens, *proxied, *clicks] if row.source_id is not None]
    lists["mailings"] = {
        value: len(rows)
        for value, rows in grouped(
            with_source, lambda row: (row.source_type_id, row.source_id)
        ).items()
    }
    return found, lists


def started(row):
    return row.started_at


def grouped(rows, value):
    found = {}
    for row in rows:
        found.setdefault(value(row), []).append(row)
    return found


def listed(rows, value, time):
    """Return the visitors of each value, each counted once a day."""
    return {
        one: brute_force.a_day(some, lambda row: row.visitor_id, time)
        for one, some in grouped(rows, value).items()
    }


def told(filters):
    """Return the same, as a report tells it."""
    report = overview(PERIOD, Filters(**filters))
    figures = {name: figure.value for name, figure in report.figures.items()}
    lists = {
        name: {row.value: row.figure for row in found.rows} for name, found in report.lists.items()
    }
    type_of = lambda value: brute_force.content_type_of(value.split(":")[0]).pk  # noqa: E731
    lists["mailings"] = {
        (type_of(value), value.split(":")[1]): figure for value, figure in lists["mailings"].items()
    }
    return figures, lists


def check(sources):
    for filters in chosen(sources):
        expected, lists = looped(filters)
        figures, shown = told(filters)
        assert figures == pytest.approx(expected), filters
        assert shown == lists, filters


@pytest.mark.usefixtures("traffic")
def test_filters_and_pairs_are_those_of_a_loop(sources, traffic):
    write(traffic)
    check(sources)
    assert FilteredCount.objects.count() == 0  # no day is counted
    roll_up(now=LATER)
    check(sources)
    kept = FilteredCount.objects.count()
    assert kept > 100
    check(sources)
    assert FilteredCount.objects.count() == kept
    # Late hits, before and after their days are counted again.
    write(hits(sources, 2, 40))
    assert LateDay.objects.exists()
    check(sources)
    roll_up(now=LATER)
    check(sources)
    # Old rows are deleted.
    age = (datetime.now(UTC) - PERIOD.start).total_seconds() / 86_400 - 1.3
    with override_settings(TRACKING_VISIT_RETENTION=age, TRACKING_BEACON_RETENTION=age - 0.5):
        assert retention.clean_up()["beacon"]
    check(sources)


def test_a_late_first_page_before_midnight_changes_the_pages_after_it(sources):
    """A visit has the UTM parameters of its first page, on the next day, too."""
    midnight = brute_force.at(date(2026, 3, 31))

    def page(minutes, **campaign):
        return PageHit(
            visitor="anna",
            url="/tea/",
            time=midnight + timedelta(minutes=minutes),
            campaign=campaign,
            user_agent=brute_force.AGENTS[0],
        )

    write([page(-10), page(10), page(20)])
    roll_up(now=LATER)
    letter = Filters(source="letter")
    assert overview(PERIOD, letter).figures["page_views"].value == 0
    write([page(-20, source="letter")])
    assert overview(PERIOD, letter).figures["page_views"].value == 4
    roll_up(now=LATER)
    assert overview(PERIOD, letter).figures["page_views"].value == 4
    check(sources)
