from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.site.admin import AffiliateAdmin
from tests.site.models import Affiliate, Product, Subscriber, Voucher
from tracking.admin import BeaconAdmin
from tracking.admin.large_tables import BoundedPaginator
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, Source, Target
from tracking.recording import write

pytestmark = pytest.mark.django_db

BEACONS = "/admin/tracking/beacon/"


def record(**values):
    tied = {
        role: Reference.to(values.pop(role))
        for role in ("source", "entity", "target")
        if role in values
    }
    [beacon] = write([Hit(**{"kind": Kind.OPEN, **tied, **values})])
    return beacon


def page(response):
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_a_beacon_is_seen_with_links_to_its_objects(admin_client):
    affiliate = Affiliate.objects.create(name="Anna's affiliate")
    subscriber = Subscriber.objects.create()
    product = Product.objects.create(sku="tea")
    beacon = record(
        kind=Kind.CLICK,
        source=affiliate,
        entity=subscriber,
        target=product,
        url="https://shop.example/tea",
        data={"campaign": "spring"},
        ip_address="192.0.2.7",
    )
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        html = page(admin_client.get(url))
        assert (
            f'<a href="/admin/site/affiliate/{affiliate.pk}/change/">Anna\'s affiliate</a>' in html
        )
        assert f'href="{reverse("admin:site_subscriber_change", args=[subscriber.pk])}"' in html
        assert "site.product tea" in html  # not in the admin, and so neither name nor link
        assert "https://shop.example/tea" in html
        assert 'href="https://shop.example/tea"' not in html
        assert "192.0.2.7" in html
    assert '"campaign": "spring"' in html


def test_objects_are_linked_only_for_who_may_see_them(staff):
    anna = Affiliate.objects.create(name="Anna")
    beacon = record(source=anna)
    urls = BEACONS, f"{BEACONS}{beacon.pk}/change/", f"{BEACONS}?source=site.affiliate:{anna.pk}"
    for url in urls:
        html = page(staff("view_beacon").get(url))
        assert "Anna" not in html
        assert f"site.affiliate {anna.pk}" in html
        assert "/admin/site/affiliate/" not in html
    staff("view_affiliate")
    for url in urls:
        assert "Anna" in page(staff().get(url))


def test_a_filter_does_not_read_out_rows_of_other_models(staff, django_user_model):
    """Neither names of users nor of what else the site keeps, tied to a beacon or not."""
    boss = django_user_model.objects.create(username="the-boss-in-person")
    for role in ("source", "entity", "target"):
        html = page(staff("view_beacon").get(BEACONS, {role: f"auth.user:{boss.pk}"}))
        assert "the-boss-in-person" not in html


def test_addresses_are_masked_for_who_may_not_see_them(staff):
    beacon = record(ip_address="192.0.2.77")
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        html = page(staff("view_beacon").get(url))
        assert "192.0.2.77" not in html
        assert "192.0.2.0" in html
    assert "192.0.2.77" in page(staff("view_full_address").get(BEACONS))


def test_masked_addresses_cannot_be_asked_for_one_by_one(staff):
    beacon = record(ip_address="192.0.2.77")
    client = staff("view_beacon")
    assert listed(client.get(BEACONS, {"q": "192.0.2.77"})) == set()
    for lookup in ("ip_address", "ip_address__startswith", "ip_address__lt"):
        assert client.get(BEACONS, {lookup: "192.0.2.77"}).status_code == 400
    staff("view_full_address")
    assert listed(client.get(BEACONS, {"q": "192.0.2.77"})) == {beacon.pk}
    assert listed(client.get(BEACONS, {"ip_address": "192.0.2.77"})) == {beacon.pk}


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
    assert f"site.affiliate {'9' * 20}" in page(admin_client.get(BEACONS))


def test_a_row_that_its_own_list_hides_is_not_named(admin_client, monkeypatch):
    def without_hidden(self, request):
        return admin.ModelAdmin.get_queryset(self, request).exclude(name="hidden")

    monkeypatch.setattr(AffiliateAdmin, "get_queryset", without_hidden, raising=False)
    hidden, shown = (Affiliate.objects.create(name=name) for name in ("hidden", "shown"))
    for affiliate in (hidden, shown):
        record(source=affiliate)
    for query in ({}, {"source": f"site.affiliate:{hidden.pk}"}):
        html = page(admin_client.get(BEACONS, query))
        assert ">hidden<" not in html
        assert f"site.affiliate {hidden.pk}" in html
        assert "shown" in html
    assert "It has been deleted since" not in page(admin_client.get(BEACONS))


def test_without_permission_nothing_shows(staff):
    assert staff().get(BEACONS).status_code == 403


def test_a_beacon_is_a_fact(admin_client):
    beacon = record()
    assert admin_client.get(f"{BEACONS}add/").status_code == 403
    assert admin_client.post(f"{BEACONS}{beacon.pk}/change/", {"kind": "click"}).status_code == 403
    assert 'name="_save"' not in page(admin_client.get(f"{BEACONS}{beacon.pk}/change/"))
    assert admin_client.post(f"{BEACONS}{beacon.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Beacon.objects.exists()


def test_what_is_gone_is_shown_as_gone(admin_client):
    affiliate = Affiliate.objects.create(name="Anna")
    beacon = record(source=affiliate)
    removed = ContentType.objects.create(app_label="removed", model="thing")
    Beacon.objects.update(
        entity_type=removed,
        entity_id="7",
        target_type=ContentType.objects.get_for_model(Subscriber),
        target_id="not a uuid",
        source_id="99",
    )
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        html = page(admin_client.get(url))
        for name in ("site.affiliate 99", "removed.thing 7", "site.subscriber not a uuid"):
            assert name in html


def test_hostile_text_stays_text(admin_client):
    evil = "<script>alert(1)</script>"
    beacon = record(
        url=f"https://a.example/{evil}",
        referrer=f"javascript:{evil}",
        user_agent=evil,
        data={evil: evil},
        source=Affiliate.objects.create(name=evil),
    )
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        raw = admin_client.get(url).content.decode()
        assert evil not in raw
        assert 'href="javascript:' not in raw


# A million rows.


def queries_of(client, url):
    with CaptureQueriesContext(connection) as queries:
        page(client.get(url))
    # The tests run in a transaction, and have savepoints where a site has none.
    return [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def test_the_list_has_no_n_plus_one_and_counts_no_table(admin_client):
    def fill(number):
        for _ in range(number):
            record(
                source=Affiliate.objects.create(name="A"),
                entity=Subscriber.objects.create(),
                target=Voucher.objects.create(affiliate=Affiliate.objects.create(name="B")),
            )

    fill(3)
    admin_client.get(BEACONS)  # the content types are looked up once per process
    few = queries_of(admin_client, BEACONS)
    fill(20)
    many = queries_of(admin_client, BEACONS)
    assert len(many) == len(few) <= 14
    counts = [sql for sql in many if "COUNT(" in sql]
    assert len(counts) == 1
    assert "LIMIT 10001" in counts[0]
    assert not [sql for sql in many if "DISTINCT" in sql or "MIN(" in sql]


def test_no_address_makes_the_list_count_its_filters(admin_client):
    record()
    assert len(queries_of(admin_client, f"{BEACONS}?_facets=True")) == len(
        queries_of(admin_client, BEACONS)
    )


def test_more_rows_than_can_be_paged_through_are_told(admin_client, monkeypatch):
    assert BoundedPaginator.limit() == "10,000"
    monkeypatch.setattr(BoundedPaginator, "MAX_ROWS", 5)
    write([Hit(kind=Kind.OPEN) for _ in range(5)])
    assert "There are more than" not in page(admin_client.get(BEACONS))
    write([Hit(kind=Kind.OPEN)])
    assert "There are more than 5" in page(admin_client.get(BEACONS))


def test_an_action_on_all_is_not_taken_on_more_than_the_page_has_counted(admin_client, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "MAX_ROWS", 5)
    beacons = write([Hit(kind=Kind.OPEN) for _ in range(6)])
    action = {
        "action": "delete_selected",
        "select_across": "1",
        "_selected_action": str(beacons[0].pk),
        "post": "yes",
    }
    response = admin_client.post(BEACONS, action, follow=True)
    assert "There are more than 5" in page(response)
    assert Beacon.objects.count() == 6
    beacons[0].delete()
    admin_client.post(BEACONS, action)
    assert not Beacon.objects.exists()


def test_a_search_that_finds_more_than_it_follows_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(BeaconAdmin, "MAX_FOUND", 2)
    for _ in range(3):
        record(entity=Subscriber.objects.create(email="anna@mail.example"))
    response = admin_client.get(BEACONS, {"q": "anna"})
    assert len(listed(response)) == 2
    assert "More than 2 subscribers match" in page(response)


@pytest.mark.parametrize("query", ["", "?q=anna", "?kind__exact=open", "?o=1"])
def test_every_question_about_beacons_has_an_index(admin_client, query):
    """No plan reads the whole table, nor sorts it (SQLite tells; the indexes are the same)."""
    if connection.vendor != "sqlite":
        pytest.skip("reads the plans of SQLite")
    record(entity=Subscriber.objects.create(email="anna@mail.example"))
    statements = [
        sql
        for sql in queries_of(admin_client, BEACONS + query)
        if sql.startswith("SELECT") and 'FROM "tracking_beacon"' in sql and "COUNT" not in sql
    ]
    assert statements
    for sql in statements:
        with connection.cursor() as cursor:
            plan = [row[3] for row in cursor.execute("EXPLAIN QUERY PLAN " + sql).fetchall()]
        assert not [step for step in plan if step.startswith("SCAN") and "USING" not in step], (
            sql,
            plan,
        )


def test_a_site_without_time_zones_has_an_admin(admin_client, settings):
    settings.USE_TZ = False
    beacon = record()
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        page(admin_client.get(url))


# Finding.


def listed(response):
    page(response)
    return {beacon.pk for beacon in response.context["cl"].result_list}


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
    html = page(admin_client.get(BEACONS))
    assert f"?source=site.affiliate%3A{anna.pk}" in html


def dates(response):
    """Return the choices of the date hierarchy."""
    nav = page(response).partition('class="toplinks"')[2].partition("</nav>")[0]
    texts = [part.partition("<")[0].strip() for part in nav.split(">")]
    return [text for text in texts if text]


def test_dates_lead_from_years_to_days(admin_client):
    for moment in (
        datetime(2024, 11, 30, 12, tzinfo=UTC),
        datetime(2026, 2, 3, 12, tzinfo=UTC),
    ):
        record(time=moment)
    response = admin_client.get(BEACONS)
    assert dates(response)[-3:] == ["2024", "2025", "2026"]
    assert "December 2024" in dates(admin_client.get(BEACONS, {"time__year": 2024}))
    in_2026 = admin_client.get(BEACONS, {"time__year": 2026})
    assert dates(in_2026)[-2:] == ["January 2026", "February 2026"]
    assert len(listed(in_2026)) == 1
    february = admin_client.get(BEACONS, {"time__year": 2026, "time__month": 2})
    assert dates(february)[-3:] == ["February 1", "February 2", "February 3"]
    day = admin_client.get(BEACONS, {"time__year": 2026, "time__month": 2, "time__day": 3})
    assert dates(day)[-1] == "February 3"
    assert len(listed(day)) == 1


def test_a_month_that_all_have_in_common_shows_its_days(admin_client):
    for day in (1, 3):
        record(time=datetime(2026, 2, day, 12, tzinfo=UTC))
    assert dates(admin_client.get(BEACONS))[-3:] == ["February 1", "February 2", "February 3"]


@pytest.mark.parametrize("query", [{"time__year": "x"}, {"time__year": 99999}, {"time__day": 3}])
def test_dates_that_are_none_break_nothing(admin_client, query):
    record()
    assert admin_client.get(BEACONS, query, follow=True).status_code == 200


def test_an_empty_list_is_a_page(admin_client):
    assert "0 beacons" in page(admin_client.get(BEACONS))


def test_time_is_relative_and_exact_on_hover(admin_client):
    record(time=timezone.now() - timedelta(minutes=5, seconds=3))
    html = page(admin_client.get(BEACONS)).replace("\xa0", " ")
    assert "5 minutes ago" in html
    assert 'title="' in html


# Targets and sources.


def test_a_target_shows_its_short_link_and_its_beacons(admin_client, settings):
    settings.TRACKING_BASE_URL = "https://go.example.com"
    target = Target.objects.create(name="Shop", url="https://shop.example/")
    beacon = record(target=target)
    record()
    for url in ("/admin/tracking/target/", f"/admin/tracking/target/{target.pk}/change/"):
        html = page(admin_client.get(url))
        assert f"https://go.example.com/t/to/{target.pk}" in html
        assert f"/admin/tracking/beacon/?target=tracking.target%3A{target.pk}" in html
    response = admin_client.get(BEACONS, {"target": f"tracking.target:{target.pk}"})
    assert listed(response) == {beacon.pk}


def test_targets_and_sources_can_be_added(admin_client):
    assert "short link" in page(admin_client.get("/admin/tracking/target/add/")).lower()
    data = {"name": "Bad", "url": "javascript:alert(1)", "active": "on"}
    assert "no destination" in page(admin_client.post("/admin/tracking/target/add/", data))
    data["url"] = "https://shop.example/"
    admin_client.post("/admin/tracking/target/add/", data)
    assert Target.objects.get().is_live
    admin_client.post("/admin/tracking/source/add/", {"name": "News", "slug": "news"})
    source = Source.objects.get()
    assert "/t/from/news.gif" in page(
        admin_client.get(f"/admin/tracking/source/{source.pk}/change/")
    )
    assert "/t/from/news.gif" in page(admin_client.get("/admin/tracking/source/?q=news"))


def test_without_our_urls_the_admin_says_so(admin_client, settings):
    Target.objects.create(name="Shop", url="/")
    settings.ROOT_URLCONF = "tests.support.empty_urls"
    assert "Include tracking.urls" in page(admin_client.get("/admin/tracking/target/"))
