"""Filters and the search of the list of beacons."""

import pytest

from tests.site.models import Affiliate, Subscriber
from tests.support.admin_pages import BEACONS, listed, record, text_of
from tracking.admin import BeaconAdmin
from tracking.hits import Hit, Kind, Reference
from tracking.recording import write

pytestmark = pytest.mark.django_db


def test_a_filter_does_not_read_out_rows_of_other_models(staff, django_user_model):
    """Neither names of users nor of what else the site keeps, tied to a beacon or not."""
    boss = django_user_model.objects.create(username="the-boss-in-person")
    for role in ("source", "entity", "target"):
        html = text_of(staff("view_beacon").get(BEACONS, {role: f"auth.user:{boss.pk}"}))
        assert "the-boss-in-person" not in html


@pytest.mark.parametrize(
    "query",
    [
        {"data__contains": "1"},
        {"user_agent__regex": "("},
        {"id__regex": "["},
        {"time__iso_year": "0"},
        {"source_type__model": "user"},
        {"referrer__icontains": "x"},
    ],
)
def test_a_url_filters_only_by_what_has_an_index(admin_client, query):
    record()
    assert admin_client.get(BEACONS, query).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"time__year": "9" * 30},
        {"time__year": ""},
        {"time__gte": "x"},
        {"id": "x"},
        {"p": "9" * 30},
        {"o": "x"},
        {"entity": "site.affiliate:" + "9" * 40},
        {"source": "site.affiliate:" + "9" * 20},
        {"target": "site.subscriber:x"},
        {"source": "x" * 500},
    ],
)
def test_no_url_makes_a_5xx(admin_client, query):
    record()
    assert admin_client.get(BEACONS, query, follow=True).status_code in {200, 400}


def test_a_key_that_no_row_can_have_does_not_break_the_list(admin_client):
    """Tokens of another site with our secrets may name such."""
    write([Hit(kind=Kind.OPEN, entity=Reference("site.affiliate", "9" * 20))])
    assert f"site.affiliate {'9' * 20}" in text_of(admin_client.get(BEACONS))


def test_a_search_that_finds_more_than_it_follows_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(BeaconAdmin, "MAX_FOUND", 2)
    for _ in range(3):
        record(entity=Subscriber.objects.create(email="anna@mail.example"))
    response = admin_client.get(BEACONS, {"q": "anna"})
    assert len(listed(response)) == 2
    assert "More than 2 subscribers match" in text_of(response)


@pytest.fixture
def crowd():
    """One beacon each of two affiliates and two subscribers."""
    return {
        name: record(
            kind=kind,
            source=Affiliate.objects.create(name=name),
            entity=Subscriber.objects.create(email=f"{name}@mail.example"),
            ip_address=address,
        )
        for name, kind, address in (
            ("anna", Kind.OPEN, "192.0.2.1"),
            ("boris", Kind.CLICK, "2001:db8::2"),
        )
    }


@pytest.mark.parametrize("term", ["anna", "ANNA@mail", " 192.0.2.1 "])
def test_a_search_finds_people_campaigns_and_addresses(admin_client, crowd, term):
    assert listed(admin_client.get(BEACONS, {"q": term})) == {crowd["anna"].pk}


def test_a_search_finds_ids_and_finds_nothing(admin_client, crowd):
    boris = crowd["boris"]
    assert listed(admin_client.get(BEACONS, {"q": str(boris.pk)})) == {boris.pk}
    assert listed(admin_client.get(BEACONS, {"q": "2001:DB8:0::2"})) == {boris.pk}
    for term in ("nobody", "%", "0" * 300):
        assert listed(admin_client.get(BEACONS, {"q": term})) == set()


def test_a_search_shows_nothing_of_lists_that_are_closed(staff, crowd):
    client = staff("view_beacon")
    assert listed(client.get(BEACONS, {"q": "anna"})) == set()
    assert listed(staff("view_subscriber").get(BEACONS, {"q": "anna"})) == {crowd["anna"].pk}


def test_filters_are_in_the_url(admin_client, crowd):
    anna = Affiliate.objects.get(name="anna")
    subscriber = Subscriber.objects.get(email="boris@mail.example")
    cases = [
        ({"kind__exact": "click"}, {crowd["boris"].pk}),
        ({"source": f"site.affiliate:{anna.pk}"}, {crowd["anna"].pk}),
        ({"entity": f"site.subscriber:{subscriber.pk}"}, {crowd["boris"].pk}),
        ({"source": "site.affiliate:999"}, set()),
        ({"source": "removed.thing:1"}, set()),
        ({"source": "rubbish"}, set()),
        ({"source": "a:\0"}, set()),
        ({"target": "site.product:x"}, set()),
    ]
    for query, expected in cases:
        assert listed(admin_client.get(BEACONS, query)) == expected, query
    html = text_of(admin_client.get(BEACONS))
    assert f"?source=site.affiliate%3A{anna.pk}" in html
