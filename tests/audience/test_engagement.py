"""Who opened, who clicked, who did not, as QuerySets."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

import tracking
from tests.site.models import (
    Affiliate,
    Guest,
    Product,
    ProxyAffiliate,
    Seat,
    StubbornGuest,
    Subscriber,
)
from tracking import recipient_consent
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind
from tracking.models import Beacon, Source
from tracking.rollups.metric_definitions import ACTIONS

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
LINKS = ("https://shop.example/tea", "https://shop.example/Tea")

#: Texts that are no keys, and that databases may take for one.
NO_KEYS = (
    "",
    "7b",
    "007",
    "-0",
    "1\n",
    " 1",
    "1 ",
    "1.0",
    "1e0",
    "+1",
    "0x1",
    "\u0661",
    "9" * 19,
    "9" * 30,
)
NO_UUIDS = ("", "7", "{uuid}", "00000000-0000-0000-0000-00000000000g", "\n" + str(uuid.UUID(int=1)))


def beacon(entity, kind, verdict=Label.HUMAN, *, source=None, minutes=0, url="", data=None):
    """Return a beacon that is not saved; ``entity`` is a row, or a model and the text of a key."""
    types = ContentType.objects
    model, key = entity if isinstance(entity, tuple) else (type(entity), str(entity.pk))
    return Beacon(
        entity_type=types.get_for_model(model),
        entity_id=key,
        source_type=source and types.get_for_model(source),
        source_id=source and str(source.pk),
        kind=kind,
        verdict=verdict,
        time=START + timedelta(minutes=minutes),
        url=url,
        data=data or {},
    )


def guests(keys=(1, 2, 3, 2**62)):
    return [Guest(pk=key) for key in keys], NO_KEYS


def subscribers():
    return [Subscriber(pk=uuid.UUID(int=number << 70 | 9)) for number in range(1, 5)], NO_UUIDS


def products():
    return [Product(sku=sku) for sku in ("tea", "Mate", "thé", "7")], (
        "",
        "Tea",
        " tea",
        "tea ",
        "the",
        "07",
    )


#: What one beacon is: the recipient or a wrong key, kind, verdict, campaign, time, link, pixel.
HITS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(Kind.values),
        st.sampled_from(Label.values),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 1),
        st.booleans(),
    ),
    max_size=25,
)
MOMENTS = st.none() | st.integers(0, 4).map(lambda minutes: START + timedelta(minutes=minutes))


def did(rows, action, since=None, until=None):
    """Return whether one of some beacons shows an action."""
    return any(
        (row.kind, row.verdict) in ACTIONS[action]
        and (since is None or row.time >= since)
        and (until is None or row.time < until)
        for row in rows
    )


def is_unclear(rows, since, until):
    no_pixel = any(row.kind == Kind.SENT and row.data.get("pixel") is False for row in rows)
    return did(rows, "any_hit", since, until) or no_pixel


def expected(people, beacons, campaign, since, until, moment):
    """Return the keys of the rows that each method must find, found by looking at each beacon."""
    found = {}
    for person in people:
        everything = [row for row in beacons if row.entity_id == str(person.pk)]
        mine = [row for row in everything if row.source_id == str(campaign.pk)]
        sent, opened = did(mine, "sent"), did(mine, "opened", since, until)
        links = [row for row in mine if row.url == LINKS[0]]
        unclear = is_unclear(mine, since, until)
        arrived = not did(mine, "bounced")

        def is_active(since=None, until=None, rows=everything):
            return did(rows, "opened", since, until) or did(rows, "converted", since, until)

        answers = {
            "sent": did(mine, "sent", since, until),
            "not_sent": not sent,
            "opened": opened,
            "clicked": did(mine, "clicked", since, until),
            "clicked_link": did(links, "clicked", since, until),
            "did_not_open": sent and arrived and not opened and not unclear,
            "open_unknown": sent and arrived and not opened and unclear,
            "bounced": did(mine, "bounced", since, until),
            "active": is_active(since, until),
            "last_active_before": is_active(until=moment) and not is_active(since=moment),
            "never_active": not is_active(),
        }
        for name, answer in answers.items():
            found.setdefault(name, set()).update({person.pk} if answer else ())
    return found


def found(rows, campaign, since, until, moment):
    """Return the keys of the rows that each method finds."""
    engagement, between = tracking.engagement(rows), {"since": since, "until": until}
    querysets = {
        name: getattr(engagement, name)(campaign, **between)
        for name in ("sent", "bounced", "opened", "clicked", "did_not_open", "open_unknown")
    }
    querysets |= {
        "not_sent": engagement.not_sent(campaign),
        "clicked_link": engagement.clicked(campaign, link=LINKS[0], **between),
        "active": engagement.active(**between),
        "last_active_before": engagement.last_active_before(moment),
        "never_active": engagement.never_active(),
    }
    keys = {}
    for name, queryset in querysets.items():
        some = list(queryset.values_list("pk", flat=True))
        assert len(some) == len(set(some)) == queryset.count()
        keys[name] = set(some)
    return keys


@pytest.mark.django_db
@pytest.mark.parametrize("make", [guests, subscribers, products], ids=lambda make: make.__name__)
class TestBruteForce:
    @given(hits=HITS, since=MOMENTS, until=MOMENTS, moment=MOMENTS.filter(bool))
    def test_each_method_finds_what_looking_at_each_beacon_finds(
        self, make, hits, since, until, moment
    ):
        people, no_keys = make()
        model = type(people[0])
        model.objects.all().delete()
        Beacon.objects.all().delete()
        model.objects.bulk_create(people)
        campaign = Source.objects.get_or_create(slug="spring")[0]
        sources = (campaign, Source.objects.get_or_create(slug="Spring")[0], None)
        beacons = [
            beacon(
                people[who]
                if who < len(people)
                else (model, no_keys[(who + minutes) % len(no_keys)]),
                kind,
                verdict,
                source=sources[source],
                minutes=minutes,
                url=LINKS[link],
                data={} if pixel else {"pixel": False},
            )
            for who, kind, verdict, source, minutes, link, pixel in hits
        ]
        Beacon.objects.bulk_create(beacons)
        wanted = expected(people, beacons, campaign, since, until, moment)
        assert found(model.objects.all(), campaign, since, until, moment) == wanted
        parts = [wanted[name] for name in ("opened", "did_not_open", "open_unknown")]
        assert sum(map(len, parts)) == len(set().union(*parts))

    def test_texts_that_are_no_keys_find_nothing_and_raise_nothing(self, make):
        people, no_keys = make()
        model = type(people[0])
        model.objects.bulk_create(people)
        source = Source.objects.create(slug="spring")
        kinds = (Kind.SENT, Kind.OPEN, Kind.CLICK)
        Beacon.objects.bulk_create(
            beacon((model, key), kind, source=source) for key in no_keys for kind in kinds
        )
        engagement = tracking.engagement(model.objects)
        for rows in (engagement.opened(source), engagement.sent(source), engagement.active()):
            assert list(rows) == []
            assert rows.delete()[0] == 0  # where MariaDB takes a warning for an error
        assert engagement.never_active().count() == len(people)


@pytest.fixture
def spring(db):
    """A mailing to four subscribers: who opened, did not, let a machine do it, got no pixel."""
    source = Source.objects.create(name="Spring letter", slug="spring-letter")
    names = ("opened", "did_not", "machine", "no_pixel", "not_sent")
    people = {name: Subscriber.objects.create(email=f"{name}@mail.example") for name in names}
    rows = [beacon(people[name], Kind.SENT, source=source) for name in names[:3]]
    rows.append(beacon(people["no_pixel"], Kind.SENT, source=source, data={"pixel": False}))
    rows.append(beacon(people["opened"], Kind.OPEN, Label.PROXY, source=source, minutes=1))
    rows.append(beacon(people["machine"], Kind.OPEN, Label.PREFETCH, source=source, minutes=1))
    Beacon.objects.bulk_create(rows)
    return source


def names(rows):
    return sorted(row.email.partition("@")[0] for row in rows)


class TestCampaigns:
    @pytest.mark.parametrize("campaign", ["spring-letter", "Spring letter"])
    def test_a_campaign_is_named_by_slug_or_name(self, spring, campaign):
        engagement = tracking.engagement(Subscriber.objects)
        for asked in (campaign, spring):
            assert names(engagement.opened(asked)) == ["opened"]
            assert names(engagement.did_not_open(asked)) == ["did_not"]
            assert names(engagement.open_unknown(asked)) == ["machine", "no_pixel"]
            assert names(engagement.not_sent(asked)) == ["not_sent"]

    def test_of_who_refuses_nobody_knows(self, spring, django_assert_num_queries):
        engagement = tracking.engagement(Subscriber.objects)
        person = engagement.did_not_open(spring).get()
        recipient_consent.deny(person, opens=False)  # clicks alone
        recipient_consent.deny(engagement.opened(spring).get())
        recipient_consent.deny(Affiliate.objects.create())
        assert engagement.did_not_open(spring).get() == person
        recipient_consent.withdraw(person)
        with django_assert_num_queries(2):
            assert not engagement.did_not_open(spring)
            assert names(engagement.open_unknown(spring)) == ["did_not", "machine", "no_pixel"]
        assert names(engagement.opened(spring)) == ["opened"]
        recipient_consent.grant(person)
        assert engagement.did_not_open(spring).get() == person

    @pytest.mark.parametrize("campaign", ["", "summer", "x" * 3_000, "ü\0"])
    def test_nobody_has_got_an_unknown_campaign(self, spring, campaign):
        engagement = tracking.engagement(Subscriber.objects)
        assert not engagement.sent(campaign)
        assert not engagement.did_not_open(campaign)
        assert engagement.not_sent(campaign).count() == 5

    def test_a_campaign_is_any_row(self, db):
        affiliate, person = ProxyAffiliate.objects.create(name="Leaf"), Subscriber.objects.create()
        beacon(person, Kind.CLICK, source=affiliate).save()
        engagement = tracking.engagement(Subscriber.objects)
        for row in (affiliate, Affiliate.objects.get()):
            assert list(engagement.clicked(row)) == [person]
        assert not engagement.clicked(Affiliate.objects.create())
        with pytest.raises(ValueError, match="save it first"):
            engagement.clicked(Affiliate())

    def test_a_link_is_a_url_or_a_target(self, db):
        person, product = Subscriber.objects.create(), Product.objects.create(sku="tea")
        row = beacon(person, Kind.CLICK, url=LINKS[0])
        row.target = product
        row.save()
        engagement = tracking.engagement(Subscriber.objects)
        assert list(engagement.clicked(link=LINKS[0])) == [person]
        assert list(engagement.clicked(link=product)) == [person]
        assert not engagement.clicked(link=LINKS[1])
        assert not engagement.clicked(link=Product(sku="Tea"))
        assert not engagement.clicked("spring-letter", link=product)
        with pytest.raises(TypeError, match="a campaign or a link"):
            engagement.clicked()


class TestQuerySets:
    def test_results_compose(self, spring):
        engagement = tracking.engagement(Subscriber.objects.order_by("-email"))
        both = engagement.opened(spring) | engagement.open_unknown(spring)
        assert [row.email[0] for row in both] == ["o", "n", "m"]
        assert names(both.filter(email__contains="o").exclude(email__contains="pixel")) == [
            "opened"
        ]
        assert names(Subscriber.objects.exclude(pk__in=engagement.sent(spring))) == ["not_sent"]
        assert engagement.sent(spring).values("seen").distinct().count() == 1
        assert engagement.did_not_open(spring).update(seen=3) == 1
        assert names(
            tracking.engagement(Subscriber.objects.filter(seen=3)).sent("spring-letter")
        ) == ["did_not"]
        assert engagement.not_sent(spring).delete()[0] == 1
        assert engagement.open_unknown(spring).delete()[0] >= 2
        assert names(Subscriber.objects.all()) == ["did_not", "opened"]

    def test_each_takes_one_query(self, spring, django_assert_num_queries):
        moment = START + timedelta(hours=1)
        for _ in range(2):  # the first one looks up content types
            found(Subscriber.objects, "spring-letter", None, None, moment)
        with django_assert_num_queries(22):  # the rows and the number of eleven QuerySets
            found(Subscriber.objects, "spring-letter", START, moment, moment)

    def test_a_hidden_row_stays_hidden(self, spring):
        rows = Subscriber.objects.exclude(email__startswith="opened")
        assert not tracking.engagement(rows).opened(spring)

    def test_it_is_made_before_apps_are_asked_anything(self, spring, django_assert_num_queries):
        ContentType.objects.clear_cache()
        with django_assert_num_queries(0):
            rows = tracking.engagement(Subscriber.objects).opened("spring-letter")
        assert names(rows) == ["opened"]


@pytest.mark.django_db
class TestModels:
    def test_a_person_is_the_same_in_all_tables_of_an_inheritance(self):
        guest, other = Guest.objects.create(), Guest.objects.create()
        stubborn = StubbornGuest(guest_ptr=guest, modified=START)
        stubborn.save_base(raw=True)
        source = Source.objects.create(slug="spring")
        Beacon.objects.bulk_create(
            [beacon(guest, Kind.OPEN, source=source), beacon(stubborn, Kind.CLICK, source=source)]
        )
        for rows, person in ((Guest.objects, guest), (StubbornGuest.objects, stubborn)):
            engagement = tracking.engagement(rows)
            assert (
                list(engagement.opened("spring")) == list(engagement.clicked("spring")) == [person]
            )
            assert list(engagement.active()) == [person]
        assert list(tracking.engagement(Guest.objects).never_active()) == [other]
        assert not tracking.engagement(StubbornGuest.objects).never_active()

    def test_a_proxy_has_the_beacons_of_its_model(self):
        affiliate = Affiliate.objects.create()
        beacon(affiliate, Kind.OPEN).save()
        assert list(tracking.engagement(ProxyAffiliate.objects).active()) == [affiliate]

    def test_rows_of_another_model_with_the_same_key_are_others(self):
        guest, affiliate = Guest.objects.create(pk=7), Affiliate.objects.create(pk=7)
        beacon(guest, Kind.OPEN).save()
        assert not tracking.engagement(Affiliate.objects).active()
        assert list(tracking.engagement(Affiliate.objects).never_active()) == [affiliate]

    def test_other_keys_are_refused(self):
        with pytest.raises(TypeError, match=r"site\.Seat has a primary key of the type Composite"):
            tracking.engagement(Seat.objects)


class BeaconsApart:
    """A router that keeps the beacons in no database that the tests have."""

    def allow_migrate(self, db, app_label, **hints):
        return app_label != "tracking"


@pytest.mark.django_db
def test_rows_in_another_database_than_the_beacons_raise_an_error(settings):
    rows = tracking.engagement(Subscriber.objects).opened("spring")
    settings.DATABASE_ROUTERS = [BeaconsApart()]
    with pytest.raises(ImproperlyConfigured, match="no database can join tables"):
        list(rows)


@pytest.fixture
def many(transactional_db):
    """One of fifty mailings to affiliates, and statistics of the tables.

    MariaDB commits when it collects them.
    """
    types = ContentType.objects
    common = {
        "source_type": types.get_for_model(Source),
        "entity_type": types.get_for_model(Affiliate),
    }
    Affiliate.objects.bulk_create(Affiliate(pk=number) for number in range(1, 2_001))
    Source.objects.bulk_create(Source(pk=n, slug=f"mailing-{n}") for n in range(1, 51))
    Beacon.objects.bulk_create(
        Beacon(
            kind=kind,
            time=START + timedelta(days=mailing, minutes=number % 100),
            source_id=str(mailing),
            entity_id=str(number),
            **common,
        )
        for mailing in range(1, 51)
        for number in range(mailing, 2_001, 20)
        for kind in (Kind.SENT, Kind.OPEN, Kind.CLICK)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("ANALYZE TABLE tracking_beacon, tracking_source, site_affiliate")
        else:
            cursor.execute("ANALYZE")
    return Source.objects.get(pk=40)


def plan(rows):
    """Return the database's plan of a QuerySet, as one text."""
    sql, parameters = rows.values("pk").query.sql_with_params()
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", parameters)
        return "\n".join(" ".join(map(str, line)) for line in cursor.fetchall())


class TestPlans:
    def test_a_campaign_is_read_by_the_index_over_sources(self, many):
        engagement = tracking.engagement(Affiliate.objects)
        for campaign in (many, many.slug):
            for method in ("sent", "opened", "clicked", "did_not_open", "open_unknown"):
                steps = plan(getattr(engagement, method)(campaign))
                assert "tracking_beacon_source" in steps, steps

    def test_rows_are_looked_up_by_the_index_over_entities(self, many):
        engagement = tracking.engagement(Affiliate.objects.filter(pk__lte=5))
        moment = START + timedelta(days=25)
        for rows in (
            engagement.active(since=moment),
            engagement.last_active_before(moment),
            engagement.never_active(),
        ):
            steps = plan(rows)
            assert "tracking_beacon_entity" in steps, steps

    def test_who_got_nothing_is_not_looked_for_among_all_beacons(self, many):
        steps = plan(tracking.engagement(Affiliate.objects).not_sent(many))
        assert "tracking_beacon_entity" in steps or "tracking_beacon_source" in steps, steps
