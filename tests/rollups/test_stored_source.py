"""What is stored of a source, and the ends of its beacons."""

from datetime import UTC, date, datetime

import pytest

from tests.support import brute_force
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, DailyCount
from tracking.recording import write
from tracking.reports import campaign
from tracking.reports.filters import type_of
from tracking.rollups import stored_source
from tracking.rollups.build import roll_up
from tracking.rollups.source_counts import FACETS, SourceKey
from tracking.rollups.stored_source import Ends

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)


def key_of(source: Reference) -> SourceKey:
    return SourceKey(type_of(source).pk, source.pk)


def test_a_source_without_beacons_has_no_ends():
    (source,) = brute_force.mailings(1)
    ends = stored_source.ends(key_of(source), "default")
    assert ends == Ends(None, None, None, None)
    assert ends.times is None


def test_the_ends_are_those_of_beacons_and_of_counts():
    one, other = brute_force.mailings(2)
    times = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in (29, 27, 30)]
    write([Hit(kind=Kind.OPEN, source=one, time=time) for time in times])
    write([Hit(kind=Kind.OPEN, source=other, time=datetime(2026, 3, 1, tzinfo=UTC))])
    first, last = times[1], times[2]
    assert stored_source.ends(key_of(one), "default") == Ends(first, last, None, None)
    roll_up()
    days = date(2026, 3, 27), date(2026, 3, 30)
    assert stored_source.ends(key_of(one), "default") == Ends(first, last, *days)
    Beacon.objects.all()._raw_delete("default")
    assert stored_source.ends(key_of(one), "default") == Ends(None, None, *days)


def test_counts_are_those_of_the_table():
    sources = brute_force.mailings(2)
    write(brute_force.traffic(FIRST, LAST, sources=sources, entities=brute_force.readers()))
    roll_up()
    for source in sources:
        rows = DailyCount.objects.filter(scope=key_of(source).scope, day__range=(FIRST, LAST))
        by_day = {
            (row.facet, row.day, row.value): row.total for row in rows if row.facet == "kinds"
        }
        sums = {}
        for row in rows:
            if row.facet in FACETS and row.facet != "kinds":
                total, uniques = sums.get((row.facet, None, row.value), (0, 0))
                sums[row.facet, None, row.value] = total + row.total, uniques + row.uniques
        summed = [name for name in FACETS if name != "kinds"]
        found = list(
            stored_source.counts(key_of(source), ["kinds"], summed, (FIRST, LAST), "default")
        )
        assert len(found) == len(by_day) + len(sums)
        for facet, day, value, numbers in found:
            if day is None:
                assert (numbers.total, numbers.uniques) == sums[facet, None, value]
            else:
                assert numbers.total == by_day[facet, day, value]


def test_links_that_differ_at_their_end_are_two():
    (source,) = brute_force.mailings(1)
    links = ["https://shop.example/" + "tea" * 500 + end for end in "ab"]
    time = datetime(2026, 3, 29, 12, tzinfo=UTC)
    write([Hit(kind=Kind.CLICK, source=source, url=url, time=time) for url in links * 2])
    roll_up()
    rows = campaign(source, brute_force.NOW).links.rows
    assert {row.value: row.figure for row in rows} == dict.fromkeys(links, 2)


def test_a_report_outlives_the_rows():
    (source,) = brute_force.mailings(1)
    write(brute_force.traffic(FIRST, LAST, sources=[source], entities=brute_force.readers()))
    roll_up()
    before = campaign(source, brute_force.NOW)
    Beacon.objects.all()._raw_delete("default")
    assert campaign(source, brute_force.NOW) == before
