"""Places of active visitors."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from tracking.active_visitors import places
from tracking.active_visitors.visitors import (
    current_visits,
    latest_beacons,
    latest_pages,
    latest_visitors,
)
from tracking.hits import Hit, Kind, PageHit
from tracking.models import Visitor
from tracking.recording import write

pytestmark = pytest.mark.django_db

BERLIN = {"country": "DE", "city": "Berlin", "latitude": 52.52, "longitude": 13.405}
POTSDAM = {"country": "DE", "city": "Potsdam", "latitude": 52.4, "longitude": 13.06}
SYDNEY = {"country": "AU", "city": "Sydney", "latitude": -33.87, "longitude": 151.21}
GERMANY = {"country": "DE"}


def visitor(seconds=0, stayed=0, **values):
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    begun = moment - timedelta(seconds=stayed)
    return Visitor.objects.create(**{"last_update": moment, "session_start": begun, **values})


def gather():
    places.count_by_place.clear()
    return places.count_by_place()


def test_visitors_at_one_place_are_one_place_the_largest_first():
    visitor(**SYDNEY)
    visitor(**BERLIN)
    last = visitor(**BERLIN, verdict="bot")
    visitor(11 * 60, **BERLIN)  # no longer here
    now = gather()
    assert (now.visitors, now.machines) == (3, 1)
    assert [(place.city, place.visitors) for place in now.places] == [("Berlin", 2), ("Sydney", 1)]
    berlin = now.places[0]
    assert (berlin.country, berlin.others) == ("DE", 0)
    assert (berlin.latitude, berlin.longitude) == pytest.approx((52.52, 13.405))
    assert berlin.newest == last.session_start


def test_where_only_the_country_is_known_there_is_a_place_without_a_point():
    visitor(**GERMANY)
    visitor(**BERLIN)
    visitor()
    now = gather()
    found = {place.key: (place.country, place.city, place.latitude) for place in now.places}
    assert found == {
        "in:DE": ("DE", "", None),
        "in:": ("", "", None),
        "at:525,134,1": ("DE", "Berlin", 52.52),
    }
    for key in found:
        assert len(latest_visitors(10, key)) == 1


def test_each_visitor_is_found_at_exactly_one_place(monkeypatch):
    """However wide the places are: nobody is lost between them, nobody is in two."""
    for number in range(60):
        step = number - 30
        visitor(number, country="DE", city=f"{number}", latitude=step / 10, longitude=step * 0.35)
    for most in (100, 20, 5, 1):
        monkeypatch.setattr(places, "MAX_PLACES", most)
        found_places = gather().places
        assert sum(place.visitors for place in found_places) == 60
        found = [latest_visitors(100, place.key) for place in found_places]
        assert [len(those) for those in found] == [place.visitors for place in found_places]
        assert len({one.pk for those in found for one in those}) == 60
        assert len(found_places) <= max(most, 4)


def test_too_many_places_become_wider_ones_with_the_name_of_the_largest(monkeypatch):
    visitor(**POTSDAM)
    visitor(**BERLIN)
    visitor(**BERLIN)
    visitor(**SYDNEY)
    monkeypatch.setattr(places, "MAX_PLACES", 2)
    first, second = gather().places
    assert (first.city, first.others, first.visitors) == ("Berlin", 1, 3)
    assert (second.city, second.others) == ("Sydney", 0)
    # In the midst of its visitors, and not of the square.
    assert first.latitude == pytest.approx((2 * 52.52 + 52.4) / 3)


def test_the_total_is_true_where_not_all_rows_are_read(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(places, "MAX_ROWS", 2)
    for number in range(3):
        visitor(country="DE", city=f"{number}", latitude=number, longitude=0, verdict="bot")
    places.count_by_place.clear()
    with django_assert_num_queries(4):  # and two for the savepoint
        now = places.count_by_place()
    assert (now.visitors, now.machines) == (3, 3)
    assert sum(place.visitors for place in now.places) == 2


def test_the_number_of_queries_does_not_depend_on_the_visitors(django_assert_num_queries):
    for _ in range(30):
        visitor(**BERLIN)
    places.count_by_place.clear()
    with django_assert_num_queries(3):  # one, and two for the savepoint
        places.count_by_place()


def test_what_takes_long_to_count_is_remembered_for_longer(monkeypatch):
    assert places.count_by_place._ttl(0.001) == pytest.approx(0.01)
    assert places.count_by_place._ttl(0.3) == pytest.approx(3)
    assert places.count_by_place._ttl(60) == places.MAX_AGE


@pytest.mark.parametrize(
    "key",
    ["x", "at:", "at:1,2", "at:1,2,3", "at:a,b,1", "at:99999999999999999999,0,1", "in:DEU",
     "in:\0\0", "at:1,2,1,1", "in:<>", "at:\0,1,1", "\0", "at:,,"],
)  # fmt: skip
def test_what_is_no_key_of_a_place_finds_nobody(key):
    visitor(**BERLIN)
    visitor()
    assert latest_visitors(10, key) == []


@given(st.text())
def test_no_key_makes_an_error(key):
    for one in (key, f"at:{key}", f"in:{key}"):
        assert isinstance(places.visitors_at(one), Q | None)


@given(st.floats(-180, 180), st.sampled_from(places.WIDTHS))
def test_a_coordinate_is_within_the_edges_of_its_cell(degrees, width):
    low, high = places._edges(places._cell(degrees, width), width)
    assert low <= degrees < high


def page(minutes_ago, visitor="anna", **values):
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return PageHit(visitor=visitor, time=moment, **{"url": "/tea/", **values})


def test_the_current_visit_of_each_visitor_by_one_query(django_assert_num_queries):
    write([page(200, url="/old/"), page(3, url="/one/"), page(1, url="/two/")])
    write([page(2, "ben", url="/ben/")])
    visitor(key="without a visit")
    visitors = latest_visitors(10)
    with django_assert_num_queries(1):
        visits = current_visits(visitors)
    assert {key: visit.entry_url for key, visit in visits.items()} == {
        "anna": "/one/",
        "ben": "/ben/",
    }
    assert [view.url for view in latest_pages(visits["anna"], 10)] == ["/two/", "/one/"]
    assert current_visits([]) == {}


def test_the_beacons_that_led_a_visitor_here():
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    write([page(1), *(Hit(kind=Kind.CLICK, visitor=v, user_agent=agent) for v in ("anna", "ben"))])
    assert len(latest_beacons(Visitor.objects.get(), 10)) == 1
