"""Recipients count on the day on which they do something for the first time, as loops say."""

from collections import defaultdict
from datetime import date, timedelta

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import brute_force
from tracking.hits import Kind
from tracking.models import Beacon, CountedDay, DailyCount, LateDay
from tracking.reports import campaign
from tracking.rollups import source_counts
from tracking.rollups.build import roll_up
from tracking.rollups.counts import OTHER
from tracking.rollups.days import Intervals
from tracking.rollups.source_counts import SourceKey

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = date(2026, 3, 28)
LATER = brute_force.at(FIRST + timedelta(days=10))

#: A click: day, half hour, link, recipient (an entity, a visitor, or an address of one day).
clicks = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 47),
        st.sampled_from(["/a", "/B", "/b", "/ä", ""]),
        st.sampled_from(["e1", "E1", "e2", "v1", "a1", "a2"]),
    ),
    max_size=16,
)


def save(source, drawn):
    """Save the clicks as those of a mailing, with entities whose keys differ in capitals only."""
    for model in (Beacon, DailyCount, CountedDay, LateDay):
        model.objects.all().delete()
    type_id = brute_force.content_type_of(source.label).pk
    for day, half_hours, url, who in drawn:
        time = brute_force.at(FIRST + timedelta(days=day)) + timedelta(minutes=30 * half_hours)
        entity = {"entity_type_id": type_id, "entity_id": who} if who[0] in "eE" else {}
        Beacon.objects.create(
            kind=Kind.CLICK,
            time=time,
            url=url,
            source_type_id=type_id,
            source_id=source.pk,
            visitor_id=who if who[0] == "v" else None,
            user_agent=who if who[0] == "a" else "",
            **entity,
        )


def looped(number):
    """Return clicks and recipients by link, of all days; ``None`` is the key of other links."""
    days = defaultdict(list)
    for click in Beacon.objects.all():
        days[brute_force.local_day(click.time)].append((click.url, brute_force.ever(click)))
    clicked = defaultdict(set)  # by recipient, on the days before
    sums = defaultdict(lambda: [0, 0])
    for day in sorted(days):
        totals = defaultdict(int)
        for url, _who in days[day]:
            totals[url] += 1
        in_order = sorted(filter(None, totals), key=lambda url: (-totals[url], url))
        kept = {"", *in_order[:number]}
        for url in totals:
            sums[url if url in kept else None][0] += totals[url]
        for who in {who for _url, who in days[day]}:
            now = {url for url, its in days[day] if its == who}
            for url in (now & kept) - clicked[who]:
                sums[url][1] += 1
            sums[None][1] += bool(now - kept) and not clicked[who] - kept
        for url, who in days[day]:
            clicked[who].add(url)
    return {url: tuple(both) for url, both in sums.items() if any(both)}


def reported(source):
    links = campaign(source, LATER).links
    found = {row.value: (row.figure, row.numbers["clicked"]) for row in links.rows}
    if links.other:
        found[None] = (links.other.figure, links.other.numbers["clicked"])
    return found


@given(clicks, st.integers(1, 3))
@example([(0, 0, "", "e1"), (1, 0, "/a", "e1"), (1, 0, "/B", "e1")], 1)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_links_are_those_of_a_loop_before_and_after_days_are_counted(drawn, number):
    (source,) = brute_force.mailings(1)
    save(source, drawn)
    expected = looped(number)
    with override_settings(TRACKING_COUNTS_PER_FACET=number):
        assert reported(source) == expected
        for days in (2, 10):
            roll_up(now=brute_force.at(FIRST + timedelta(days=days)) + timedelta(hours=2))
            assert reported(source) == expected
    everybody = {brute_force.ever(click) for click in Beacon.objects.all()}
    assert campaign(source, LATER).clicked.unique == len(everybody)


def test_recipients_of_a_mailing_are_counted_in_few_queries(django_assert_max_num_queries):
    (source,) = brute_force.mailings(1)
    save(source, [(day, 0, f"/{n}", f"{'eva'[n % 3]}{n}") for day in range(2) for n in range(40)])
    key = SourceKey(brute_force.content_type_of(source.label).pk, source.pk)
    second = Intervals.of_days(FIRST + timedelta(days=1), FIRST + timedelta(days=1))
    with override_settings(TRACKING_COUNTS_PER_FACET=5), django_assert_max_num_queries(16):
        counted = source_counts.count(key, second)
    assert len(counted["clicked_links"]) == 6
    assert counted["clicked_links"][0, OTHER].total == 35
    assert len(counted["actions"]) < 10
