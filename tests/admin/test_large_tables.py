"""Lists of large tables: pages, dates and filters use indexes."""

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.site.models import Affiliate, Subscriber, Voucher
from tests.support.admin_pages import BEACONS, listed, record, text_of
from tracking.admin.large_tables import BoundedPaginator
from tracking.hits import Hit, Kind
from tracking.models import Beacon
from tracking.recording import write

pytestmark = pytest.mark.django_db


def queries_of(client, url):
    with CaptureQueriesContext(connection) as queries:
        text_of(client.get(url))
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


def test_a_list_with_too_many_rows_to_page_through_says_so(admin_client, monkeypatch):
    assert BoundedPaginator.limit() == "10,000"
    monkeypatch.setattr(BoundedPaginator, "MAX_ROWS", 5)
    write([Hit(kind=Kind.OPEN) for _ in range(5)])
    assert "Only the first" not in text_of(admin_client.get(BEACONS))
    write([Hit(kind=Kind.OPEN)])
    assert "Only the first 5 rows are listed." in text_of(admin_client.get(BEACONS))


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
    assert "More than 5 rows match" in text_of(response)
    assert Beacon.objects.count() == 6
    beacons[0].delete()
    admin_client.post(BEACONS, action)
    assert not Beacon.objects.exists()


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


def dates(response):
    """Return the choices of the date hierarchy."""
    nav = text_of(response).partition('class="toplinks"')[2].partition("</nav>")[0]
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
    assert "0 beacons" in text_of(admin_client.get(BEACONS))


@pytest.mark.parametrize(
    "model",
    [
        *("beacon", "visitor", "visit", "source", "target", "bannedip", "untrackeduseragent"),
        *("overview", "activevisitors"),
    ],
)
def test_no_field_that_a_popup_asks_for_breaks_a_list(admin_client, model):
    """A generic foreign key or a relation backwards is no field that Django can ask for."""
    fields = {"id", "nothing", "\0", ""}
    for one in apps.get_app_config("tracking").get_models():
        fields |= {field.name for field in one._meta.get_fields(include_hidden=True)}
    for field in sorted(fields):
        response = admin_client.get(f"/admin/tracking/{model}/", {"_to_field": field})
        assert response.status_code in {200, 302, 400}, field
