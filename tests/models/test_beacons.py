import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q
from django.utils import timezone

from tests.site.models import Affiliate, Offer, Product, ProxyAffiliate, Subscriber
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, Source, Target
from tracking.recording import write
from tracking.reports import campaign

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(kind=Kind.OPEN, **objects):
    """Write a hit that is tied to model instances, and return its row."""
    references = {role: Reference.to(instance) for role, instance in objects.items()}
    (beacon,) = write([Hit(kind=kind, time=NOON, **references)])
    return beacon


def test_querysets_read_as_english():
    ours, theirs = Affiliate.objects.create(name="Ours"), Affiliate.objects.create(name="Theirs")
    subscriber = Subscriber.objects.create()
    opened = record(Kind.OPEN, source=ours, entity=subscriber)
    clicked = record(Kind.CLICK, source=ours)
    record(Kind.OPEN, source=theirs)
    sent, event = record(Kind.SENT, source=ours), record(Kind.EVENT, source=ours)

    assert list(Beacon.objects.opens().for_source(ours)) == [opened]
    assert list(Beacon.objects.for_source(ours).clicks()) == [clicked]
    assert list(Beacon.objects.sent().for_source(ours)) == [sent]
    assert list(Beacon.objects.events()) == [event]
    assert list(Beacon.objects.for_entity(subscriber)) == [opened]
    assert Beacon.objects.since(NOON).count() == 5
    assert Beacon.objects.until(NOON).count() == 0
    assert Beacon.objects.latest().time == NOON


def test_beacons_of_people_are_those_that_reports_count():
    affiliate, readers = Affiliate.objects.create(name="spring"), 4
    proxy = "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"
    for number, (kind, agent) in enumerate(
        [("open", FIREFOX), ("open", proxy), ("open", "Googlebot/2.1"), ("click", FIREFOX)]
    ):
        reader = Affiliate.objects.create(name=f"reader {number % readers}")
        write(
            [
                Hit(
                    kind=kind,
                    user_agent=agent,
                    source=Reference.to(affiliate),
                    entity=Reference.to(reader),
                )
            ]
        )
    beacons, report = Beacon.objects.for_source(affiliate), campaign(affiliate)
    assert beacons.opens().humans().count() == report.opened.confirmed_total == 1
    assert beacons.opens().people().count() == report.opened.total == 2
    assert beacons.clicks().humans().count() == report.clicked.total == 1
    assert beacons.people().values("entity_id").distinct().count() == report.opened.unique == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Affiliate.objects.create(name="integer key"),
        lambda: Subscriber.objects.create(email="uuid@key.example"),
        lambda: Product.objects.create(sku="text-key/ä"),
    ],
)
def test_objects_with_any_key_can_be_tied_to_a_beacon_and_found_again(make):
    instance = make()
    beacon = record(source=instance, entity=instance, target=instance)
    again = Beacon.objects.get(pk=beacon.pk)
    assert (again.source, again.entity, again.target) == (instance, instance, instance)
    for find in (Beacon.objects.for_source, Beacon.objects.for_entity, Beacon.objects.for_target):
        assert list(find(instance)) == [beacon]
    [prefetched] = Beacon.objects.prefetch_related("source", "entity", "target")
    assert prefetched.entity == instance


def test_a_proxy_finds_the_beacons_of_its_base():
    affiliate = Affiliate.objects.create(name="A")
    beacon = record(source=affiliate)
    assert list(Beacon.objects.for_source(ProxyAffiliate.objects.get())) == [beacon]


def test_an_unsaved_object_has_no_beacons_to_look_for():
    with pytest.raises(ValueError, match="save it first"):
        Beacon.objects.for_source(Affiliate())


def test_sites_look_back_through_a_generic_relation():
    affiliate = Affiliate.objects.create(name="A")
    subscriber = Subscriber.objects.create(id=uuid.UUID(int=2**100))
    opened = record(Kind.OPEN, source=affiliate, entity=subscriber)
    clicked = record(Kind.CLICK, source=affiliate, entity=subscriber)
    record(Kind.OPEN)

    assert set(affiliate.beacons.all()) == {opened, clicked}
    assert list(affiliate.beacons.opens()) == [opened]
    assert list(subscriber.beacons.clicks()) == [clicked]
    assert list(Beacon.objects.filter(affiliate__name="A").opens()) == [opened]
    [counted] = Affiliate.objects.annotate(
        opens=Count("beacons", filter=Q(beacons__kind=Kind.OPEN))
    )
    assert counted.opens == 1
    [prefetched] = Subscriber.objects.prefetch_related("beacons")
    assert set(prefetched.beacons.all()) == {opened, clicked}


def test_deleting_an_object_with_a_generic_relation_deletes_its_beacons():
    """So Django has it, and so the documents say."""
    affiliate, offer = Affiliate.objects.create(), Offer.objects.create(url="/")
    record(source=affiliate)
    record(target=offer)
    affiliate.delete()
    offer.delete()
    assert Beacon.objects.get().source is None


def test_lookups_across_a_relation_with_uuid_keys_need_a_database_that_knows_them():
    """A limit that the documents tell of: SQLite keeps a UUID without its hyphens."""
    subscriber = Subscriber.objects.create()
    record(entity=subscriber)
    across = Subscriber.objects.filter(beacons__kind=Kind.OPEN).count()
    assert across == (1 if connection.features.has_native_uuid_field else 0)
    assert subscriber.beacons.count() == Beacon.objects.for_entity(subscriber).count() == 1


def test_a_generic_foreign_key_can_be_assigned():
    affiliate = Affiliate.objects.create(name="A")
    beacon = Beacon.objects.create(kind=Kind.EVENT, source=affiliate, target=None)
    beacon.refresh_from_db()
    assert (beacon.source, beacon.source_id, beacon.target) == (affiliate, str(affiliate.pk), None)


def test_targets_are_live_while_active_and_not_expired():
    now = timezone.now()
    live = [
        Target.objects.create(name="plain", url="/"),
        Target.objects.create(name="until tomorrow", url="/", expires_at=now + timedelta(days=1)),
    ]
    dead = [
        Target.objects.create(name="inactive", url="/", active=False),
        Target.objects.create(name="expired", url="/", expires_at=now - timedelta(seconds=1)),
    ]
    assert set(Target.objects.live()) == set(live)
    assert [target.is_live for target in live + dead] == [True, True, False, False]


def test_targets_lead_only_where_a_redirect_may():
    Target(name="fine", url="https://shop.example/ü").full_clean()
    with pytest.raises(ValidationError, match="not a valid destination"):
        Target(name="script", url="javascript:alert(1)").full_clean()


def test_the_slug_of_a_source_is_unique():
    Source.objects.create(name="News", slug="news")
    with pytest.raises(IntegrityError), transaction.atomic():
        Source.objects.create(name="News again", slug="news")


def test_names():
    assert str(Source(name="News")) == "News"
    assert str(Target(name="Shop")) == "Shop"
    key = uuid.UUID(int=7)
    assert str(Beacon(id=key, kind="open")) == f"Open {key}"


def behind_django_s_back(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.fixture
def own_types():
    """Content types that are made in a test, and remembered by Django no longer than it takes."""
    ContentType.objects.clear_cache()
    yield
    ContentType.objects.clear_cache()


@pytest.fixture
def orphan(own_types):
    """A beacon whose source had a content type that somebody has deleted by SQL."""
    gone = ContentType.objects.create(app_label="elsewhere", model="partner")
    beacon = record(entity=Affiliate.objects.create(name="A"))
    Beacon.objects.update(source_type=gone, source_id="7")
    behind_django_s_back("DELETE FROM django_content_type WHERE id = %s", gone.pk)
    ContentType.objects.clear_cache()
    return beacon


def test_a_content_type_that_sql_has_deleted_leaves_the_beacon_in_peace(orphan, admin_client):
    beacon = Beacon.objects.get()
    assert (beacon.source, beacon.source_id, beacon.entity.name) == (None, "7", "A")
    assert beacon.reference("source") is None
    [fetched] = Beacon.objects.prefetch_related("source", "entity")
    assert (fetched.source, fetched.entity.name) == (None, "A")
    connection.check_constraints()
    for url in ("/admin/tracking/beacon/", f"/admin/tracking/beacon/{beacon.pk}/change/"):
        assert admin_client.get(url, follow=True).status_code == 200
    beacon.kind = "click"
    beacon.save()
    assert len(write([Hit(kind=Kind.OPEN)])) == 1
    beacon.delete()


def test_a_model_that_has_left_the_site_leaves_the_beacon_in_peace(own_types):
    stale = ContentType.objects.create(app_label="elsewhere", model="partner")
    record(entity=Affiliate.objects.create(name="A"))
    Beacon.objects.update(source_type=stale, source_id="7")
    beacon = Beacon.objects.get()
    assert (beacon.source, beacon.entity.name) == (None, "A")
    [fetched] = Beacon.objects.prefetch_related("source", "entity")
    assert (fetched.source, fetched.entity.name) == (None, "A")
    assert str(beacon.reference("source").label) == "elsewhere.partner"


def test_a_content_type_that_django_deletes_is_forgotten_by_its_beacons(own_types):
    stale = ContentType.objects.create(app_label="elsewhere", model="partner")
    beacon = record()
    Beacon.objects.update(source_type=stale, source_id="7")
    stale.delete()
    beacon.refresh_from_db()
    assert (beacon.source_type_id, beacon.source_id) == (None, "7")


def test_indexes_have_only_rows_that_could_be_asked_for():
    with connection.cursor() as cursor:
        known = connection.introspection.get_constraints(cursor, Beacon._meta.db_table)
        for name, columns in {
            "tracking_beacon_source": ["source_type_id", "source_id", "time"],
            "tracking_beacon_visitor": ["visitor_id", "time"],
        }.items():
            assert known[name]["columns"] == columns
        if not connection.features.supports_partial_indexes:
            return
        table = {"postgresql": "pg_indexes", "sqlite": "sqlite_master"}[connection.vendor]
        column = {"postgresql": "indexdef, indexname", "sqlite": "sql, name"}[connection.vendor]
        cursor.execute(f"SELECT {column} FROM {table}")
        conditions = {name: sql for sql, name in cursor.fetchall() if sql and "WHERE" in sql}
    for role in ("source", "entity", "target"):
        assert f"{role}_type_id" in conditions[f"tracking_beacon_{role}"].partition("WHERE")[2]
    assert "visitor_id" in conditions["tracking_beacon_visitor"].partition("WHERE")[2]


def test_no_foreign_key_of_a_beacon_is_looked_at_by_the_database():
    with connection.cursor() as cursor:
        known = connection.introspection.get_constraints(cursor, Beacon._meta.db_table)
    assert [name for name, one in known.items() if one["foreign_key"]] == []


@pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes")
@pytest.mark.parametrize(
    ("lookup", "index"),
    [
        ({"source_type_id": 7, "source_id": "7"}, "tracking_beacon_source"),
        ({"source_type_id": 7, "source_id__in": ["7", "8"]}, "tracking_beacon_source"),
        ({"target_type_id": 7}, "tracking_beacon_target"),
        ({"entity_type_id__in": [7, 8]}, "tracking_beacon_entity"),
        ({"visitor_id": "anna"}, "tracking_beacon_visitor"),
    ],
)
def test_questions_find_their_partial_index(lookup, index):
    if connection.vendor == "postgresql":
        behind_django_s_back("SET LOCAL enable_seqscan = off")
        behind_django_s_back("SET LOCAL enable_bitmapscan = off")
    assert index in Beacon.objects.filter(**lookup).explain()
