"""The view ``trigger``, and short links to targets and sources."""

import uuid
from datetime import UTC, datetime
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.db.models import F, QuerySet
from django.http import Http404
from django.test import Client, RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.models import (
    Affiliate,
    BrokenOffer,
    Diary,
    Goodbye,
    Guest,
    GuestWithHistory,
    Leaflet,
    Offer,
    Product,
    Reader,
    StubbornGuest,
    Subscriber,
    Visitor,
)
from tracking.generic_references import update_entity
from tracking.models import Beacon, Source, Target
from tracking.views import GIF, trigger

pytestmark = pytest.mark.django_db

SHOP = "https://shop.example/a?b=1&c=2|3#d"


@pytest.fixture
def offer():
    return Offer.objects.create(url=SHOP)


@pytest.fixture
def affiliate():
    return Affiliate.objects.create(name="Anna")


def assert_is_pixel(response, status=200):
    assert (response.status_code, response.content) == (status, GIF)


# Redirect mode.


def test_redirect_mode_records_a_beacon_and_leads_to_get_beacon_url(client, offer, affiliate):
    response = client.get(f"/offer/{offer.pk}/{affiliate.pk}", headers={"User-Agent": "Web/1"})
    assert (response.status_code, response["Location"]) == (302, SHOP)
    beacon = Beacon.objects.get()
    assert (beacon.kind, beacon.url, beacon.user_agent) == ("click", SHOP, "Web/1")
    assert (beacon.target, beacon.source, beacon.entity) == (offer, affiliate, None)


def test_without_get_beacon_url_it_leads_to_get_absolute_url(client):
    Product.objects.create(sku="tea")
    assert client.get("/product/tea")["Location"] == "/products/tea/"
    assert Beacon.objects.get().target == Product.objects.get()


def test_with_neither_method_it_is_a_404(client):
    leaflet = Leaflet.objects.create()
    assert client.get(f"/leaflet/{leaflet.pk}").status_code == 404
    assert not Beacon.objects.exists()


def test_without_a_target_it_is_a_404(client):
    assert client.get("/nowhere").status_code == 404


def test_a_source_is_optional(client, offer):
    assert client.get(f"/offer/{offer.pk}").status_code == 302
    assert Beacon.objects.get().source is None


@pytest.mark.parametrize(
    "key", ["999", "x", "-1", "9" * 40, "%00", "1%00", "1.5", "%F0%9F%8D%B5", "1'--"]
)
def test_a_target_that_does_not_exist_is_a_404_whatever_its_key(client, offer, key):
    assert client.get(f"/offer/{key}").status_code == 404
    assert client.get(f"/product/{key}").status_code == 404
    assert not Beacon.objects.exists()


@pytest.mark.parametrize("key", ["999", "x", "9" * 40, "%00"])
def test_a_source_that_does_not_exist_is_a_404_or_ignored(client, offer, key):
    assert client.get(f"/offer/{offer.pk}/{key}").status_code == 404
    assert not Beacon.objects.exists()
    assert client.get(f"/lenient/{offer.pk}/{key}")["Location"] == SHOP
    assert Beacon.objects.get().source is None


def test_ignoring_errors_does_not_ignore_a_missing_target(client, affiliate):
    assert client.get(f"/lenient/999/{affiliate.pk}").status_code == 404


def test_a_target_that_cannot_say_where_it_leads_is_a_404(client, caplog):
    broken = BrokenOffer.objects.create()
    assert client.get(f"/broken/{broken.pk}").status_code == 404
    assert "no URL today" in caplog.text


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "//evil.example", "shop.example"])
def test_a_target_never_leads_outside_of_http(client, url):
    offer = Offer.objects.create(url=url)
    assert client.get(f"/offer/{offer.pk}").status_code == 404
    assert not Beacon.objects.exists()


def test_the_answer_is_not_cached(client, offer):
    response = client.get(f"/offer/{offer.pk}")
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"


# Pixel mode.


def test_pixel_mode_needs_no_target_and_saves(client):
    """The predecessor could not: its target was not allowed to be null."""
    assert_is_pixel(client.get("/plain.gif"))
    beacon = Beacon.objects.get()
    assert (beacon.kind, beacon.target, beacon.source, beacon.entity) == ("open", None, None, None)


def test_pixel_mode_takes_all_objects(client, offer, affiliate):
    assert_is_pixel(client.get(f"/open/{affiliate.pk}.gif"))
    assert_is_pixel(client.get(f"/seen/{offer.pk}.gif"))
    assert Beacon.objects.for_source(affiliate).opens().count() == 1
    assert Beacon.objects.for_target(offer).opens().count() == 1


@pytest.mark.parametrize("key", ["999", "x", "%00"])
def test_a_pixel_is_a_pixel_and_a_missing_source_is_not_recorded_or_ignored(client, key):
    assert_is_pixel(client.get(f"/open/{key}.gif"))
    assert not Beacon.objects.exists()
    assert_is_pixel(client.get(f"/lenient-open/{key}.gif"))
    assert Beacon.objects.get().source is None


# The entity.


def test_an_entity_is_fetched_and_updated_before_the_redirect(client, offer):
    subscriber = Subscriber.objects.create()
    client.get(f"/to/{offer.pk}/for/{subscriber.pk}")
    subscriber.refresh_from_db()
    assert subscriber.seen == 1  # once, although it saves itself by an expression
    assert Beacon.objects.get().entity == subscriber


def test_uuid_keys_work(client, offer):
    subscriber = Subscriber.objects.create(id=uuid.UUID(int=1))
    client.get(f"/to/{offer.pk}/for/{subscriber.pk}")
    assert Beacon.objects.for_entity(subscriber).count() == 1


def test_what_beacon_update_changes_is_saved(client, offer):
    reader = Reader.objects.create(user_agent="before", note="mine")
    Reader.objects.filter(pk=reader.pk).update(note="changed meanwhile")
    client.get(f"/to/{offer.pk}/for-reader/{reader.pk}", headers={"User-Agent": "Web/1"})
    reader.refresh_from_db()
    assert (reader.user_agent, reader.note) == ("Web/1", "changed meanwhile")


def test_only_what_beacon_update_changed_is_saved(offer, django_assert_num_queries):
    reader = Reader.objects.create(user_agent="Web/1", note="mine")
    request = RequestFactory().get("/", headers={"User-Agent": "Web/2"})

    def change_meanwhile(self, request):
        Reader.objects.update(note="changed meanwhile")
        self.user_agent = "Web/2"

    with mock.patch.object(Reader, "beacon_update", change_meanwhile):
        trigger(request, Offer, offer.pk, entity_type=Reader, entity_id=reader.pk)
    reader.refresh_from_db()
    assert (reader.user_agent, reader.note) == ("Web/2", "changed meanwhile")


def test_changes_in_place_and_expressions_are_saved(offer, rf):
    diary = Diary.objects.create()
    for _ in range(2):
        trigger(rf.get("/"), Offer, offer.pk, entity_type=Diary, entity_id=diary.pk)
    diary.refresh_from_db()
    assert (diary.log, diary.opens) == (["seen", "seen"], 2)
    assert Beacon.objects.for_entity(diary).count() == 2  # although its length is 0


def test_what_an_entity_saves_itself_is_not_written_a_second_time(offer, rf):
    """Otherwise what another process has counted meanwhile would be lost."""
    subscriber = Subscriber.objects.create()

    def counted_twice(self, request):
        self.seen = F("seen") + 1
        self.save(update_fields=["seen"])
        Subscriber.objects.update(seen=F("seen") + 1)  # by another process

    with mock.patch.object(Subscriber, "beacon_update", counted_twice):
        trigger(rf.get("/"), Offer, offer.pk, entity_type=Subscriber, entity_id=subscriber.pk)
    subscriber.refresh_from_db()
    assert subscriber.seen == 2


@pytest.mark.parametrize("model", [Guest, StubbornGuest])
def test_what_is_set_at_each_save_is_set(offer, rf, model):
    guest = model()
    guest.save()
    created = guest.modified
    trigger(rf.get("/"), Offer, offer.pk, entity_type=model, entity_id=guest.pk)
    guest.refresh_from_db()
    assert guest.opens == 1
    assert guest.modified > created


def test_an_entity_may_save_a_copy_of_itself(offer, rf):
    guest = GuestWithHistory.objects.create()
    trigger(rf.get("/"), Offer, offer.pk, entity_type=GuestWithHistory, entity_id=guest.pk)
    assert sorted(GuestWithHistory.objects.values_list("opens", flat=True)) == [0, 1]
    guest.refresh_from_db()
    assert guest.opens == 1


def test_a_field_that_was_not_loaded_can_be_set(rf):
    reader = Reader.objects.create(user_agent="Web/1", note="secret")

    def forget(self, request):
        self.note = ""

    with mock.patch.object(Reader, "beacon_update", forget):
        update_entity(Reader.objects.defer("note").get(), rf.get("/"))
    reader.refresh_from_db()
    assert reader.note == ""


def test_an_entity_that_deletes_itself_does_not_take_the_beacon_along(offer, rf):
    goodbye = Goodbye.objects.create()
    trigger(rf.get("/"), Offer, offer.pk, entity_type=Goodbye, entity_id=goodbye.pk)
    assert Beacon.objects.get().entity is None


def test_an_entity_is_made_where_the_url_names_none(client, offer):
    client.get(f"/to/{offer.pk}/for-new-reader", headers={"User-Agent": "Web/1"})
    assert Reader.objects.get().user_agent == "Web/1"
    assert Beacon.objects.get().entity == Reader.objects.get()
    client.get(f"/to/{offer.pk}/for-new-visitor")
    assert Beacon.objects.for_entity(Visitor.objects.get()).count() == 1


def test_a_get_makes_no_entity_with_a_key_that_the_client_chose(client, offer):
    key = uuid.uuid4()
    assert client.get(f"/to/{offer.pk}/for/{key}").status_code == 404
    assert client.get(f"/to/{offer.pk}/for-reader/777").status_code == 404
    assert not Subscriber.objects.exists()
    assert not Reader.objects.exists()
    assert not Beacon.objects.exists()


@pytest.mark.parametrize("path", ["for-moody", "for-poisonous"])
def test_an_entity_that_raises_stops_neither_recording_nor_redirect(client, offer, caplog, path):
    response = client.get(f"/to/{offer.pk}/{path}")
    assert (response.status_code, response["Location"]) == (302, SHOP)
    beacon = Beacon.objects.get()
    assert (beacon.target, beacon.entity) == (offer, None)
    assert "beacon_update of site." in caplog.text
    assert not Product.objects.exists()


def test_an_existing_entity_that_raises_is_still_tied_to_the_beacon(client, offer):
    reader = Reader.objects.create(user_agent="Web/1")
    with mock.patch.object(Reader, "beacon_update", side_effect=RuntimeError):
        client.get(f"/to/{offer.pk}/for-reader/{reader.pk}")
    assert Beacon.objects.get().entity == reader


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"X-Moz": "prefetch"}])
def test_prefetch_touches_neither_the_entity_nor_the_table(client, offer, headers):
    subscriber = Subscriber.objects.create()
    path = f"/to/{offer.pk}/for/{subscriber.pk}"
    assert client.get(path, headers=headers)["Location"] == SHOP
    assert client.head(path)["Location"] == SHOP
    client.head(f"/to/{offer.pk}/for-new-visitor")
    subscriber.refresh_from_db()
    assert subscriber.seen == 0
    assert not Beacon.objects.exists()
    assert not Visitor.objects.exists()


# Called wrongly, or at a bad moment.


@pytest.mark.parametrize("wrong", ["site.Offer", 7, object()])
def test_models_are_classes_and_never_names_from_a_url(rf, offer, wrong):
    with pytest.raises(Http404):
        trigger(rf.get("/"), target_type=wrong, target_id=offer.pk)


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "BREW"])
def test_other_methods_are_refused(method, offer, affiliate):
    client = Client(enforce_csrf_checks=True)
    assert client.generic(method, f"/offer/{offer.pk}").status_code == 405
    assert_is_pixel(client.generic(method, f"/open/{affiliate.pk}.gif"), status=405)
    assert not Beacon.objects.exists()


def test_an_outage_of_the_database_never_shows(client, offer, affiliate, caplog):
    def refuse(*args):
        raise OperationalError("gone away")

    with connection.execute_wrapper(refuse):
        assert_is_pixel(client.get(f"/open/{affiliate.pk}.gif"))
        assert client.get(f"/offer/{offer.pk}").status_code == 404

    def only_offers(execute, sql, params, many, context):
        if "site_offer" in sql or "SAVEPOINT" in sql:
            return execute(sql, params, many, context)
        raise OperationalError("gone away")

    with connection.execute_wrapper(only_offers):
        assert client.get(f"/offer/{offer.pk}/{affiliate.pk}")["Location"] == SHOP
    assert "gone away" in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(max_size=20))
def test_no_key_makes_a_5xx(key):
    request = RequestFactory().get("/")
    for model in (Offer, Product, Subscriber):
        with pytest.raises(Http404):
            trigger(request, target_type=model, target_id=key)
        assert_is_pixel(trigger(request, source_type=model, source_id=key, pixel=True))
    assert not Beacon.objects.exists()


def test_a_site_that_breaks_its_transaction_on_the_way_does_not_poison_ours(client, affiliate):
    """A query that the database refuses, inside of a transaction, ends that on PostgreSQL."""

    def refused(self):
        Product.objects.create(sku="twice")
        Product.objects.create(sku="twice")

    offer = Offer.objects.create(url=SHOP)
    with mock.patch.object(Offer, "get_beacon_url", refused):
        assert client.get(f"/offer/{offer.pk}").status_code == 404

    def refused_by_the_database(self, **lookup):
        with connection.cursor() as cursor:
            cursor.execute("SELECT oops")

    with mock.patch.object(QuerySet, "get", refused_by_the_database):
        assert client.get(f"/offer/{offer.pk}").status_code == 404
    assert not connection.needs_rollback
    assert client.get(f"/offer/{offer.pk}/{affiliate.pk}")["Location"] == SHOP
    assert Beacon.objects.count() == 1


# The short links of Target and Source.


@pytest.fixture
def target():
    return Target.objects.create(name="Shop", url=SHOP)


def test_a_target_has_a_short_link(client, target):
    response = client.get(f"/t/to/{target.pk}")
    assert (response.status_code, response["Location"]) == (302, SHOP)
    assert Beacon.objects.clicks().for_target(target).count() == 1


def test_a_short_link_can_name_its_source(client, target):
    news = Source.objects.create(name="News", slug="news")
    client.get(f"/t/to/{target.pk}/news")
    assert Beacon.objects.get().source == news
    assert client.get(f"/t/to/{target.pk}/no-such-source")["Location"] == SHOP
    assert Beacon.objects.count() == 2


def test_a_source_has_a_short_pixel(client):
    news = Source.objects.create(name="News", slug="news")
    assert_is_pixel(client.get("/t/from/news.gif"))
    assert Beacon.objects.get().source == news
    assert_is_pixel(client.get("/t/from/no-such-source.gif"))
    assert Beacon.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"active": False}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}]
)
def test_a_short_link_of_a_revoked_target_leads_there_uncounted(client, target, change):
    Target.objects.update(**change)
    assert client.get(f"/t/to/{target.pk}")["Location"] == SHOP
    assert not Beacon.objects.exists()


def test_a_short_link_to_a_deleted_target_leads_nowhere(client, target):
    target.delete()
    assert client.get("/t/to/1").status_code == 404
    assert client.get("/t/to/" + "9" * 40).status_code == 404
