"""The report on a campaign in the admin."""

import csv
import io
import json
import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings

from tests.site.models import Product, Subscriber
from tests.support.admin_pages import text_of
from tests.support.mailings import hit, report_url
from tracking.hits import Hit, Kind, Reference
from tracking.models import Source
from tracking.recording import write
from tracking.rollups.days import today

pytestmark = pytest.mark.django_db

NASTY = "<script>alert('x')</script>"


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_funnel_counts_each_recipient_once(mailing, admin_client):
    html = text_of(admin_client.get(report_url(mailing)))
    assert "Report: Leaf Letter" in html
    assert "to 5 recipients." in html
    steps = re.search(r'<ol class="tracking-funnel">.*?</ol>', html, re.DOTALL)[0]
    text = plain(steps)
    assert "Sent 5" in text
    assert "Opened 3 60.0% of sent 40.0% to 80.0% 4 opens" in text
    assert "Clicked 1 20.0% of sent 2 clicks 33.3% of opened" in text


def test_opens_are_shown_in_three_parts(mailing, admin_client):
    html = text_of(admin_client.get(report_url(mailing)))
    text = plain(html)
    assert "Confirmed 2 40.0%" in text
    assert "Proxied 1 20.0%" in text
    assert "Machine only 1 20.0%" in text
    assert "Nothing recorded 1 20.0%" in text
    assert (
        "60.0% opened. At least 40.0% did so beyond doubt (confirmed), and at most 80.0% may"
        in text
    )
    assert "Only the recipient's mail provider loaded the image" in text
    assert re.search(r'<rect class="tracking-part-confirmed"[^>]* width="40%"', html)
    assert "<desc" in html


def test_a_mailing_that_is_over_is_not_drawn_as_a_line_along_the_axis(affiliate, admin_client):
    # Noons of the site's calendar: 24 hours are not a day where the clocks change.
    noon = datetime.combine(today(), time(12), ZoneInfo("Europe/Berlin"))
    moments = [noon - timedelta(days=days) for days in (60, 58)]
    write([hit(Kind.OPEN, affiliate, time=moment) for moment in moments])
    html = text_of(admin_client.get(report_url(affiliate)))
    chart = re.search(r'<section [^>]*aria-labelledby="days-head".*?</section>', html, re.DOTALL)[0]
    assert len(re.findall(r'<th scope="row"', chart)) == 9  # three, and six of silence
    rows = admin_client.get(report_url(affiliate, "days.csv")).getvalue().decode().splitlines()
    assert len(rows) == 1 + 61


def test_links_countries_and_clients_are_of_people(mailing, admin_client):
    html = text_of(admin_client.get(report_url(mailing)))
    assert "https://shop.example/tea 1 2" in plain(html).replace("\N{NORTH EAST ARROW} ", "")
    assert "GoogleImageProxy" not in html
    assert "Hits by people only" in html


def test_long_lists_have_pages_of_their_own(mailing, readers, admin_client):
    write(
        [
            hit(Kind.CLICK, mailing, readers[0], url=f"https://shop.example/{number}")
            for number in range(60)
        ]
    )
    html = text_of(admin_client.get(report_url(mailing)))
    assert "https://shop.example/59" not in html
    assert f'href="{report_url(mailing, "links/")}"' in html
    assert f'href="{report_url(mailing, "countries/")}"' not in html  # all are shown
    pages = [text_of(admin_client.get(report_url(mailing, f"links/?p={p}"))) for p in (1, 2, 3)]
    assert [len(re.findall(r"https://shop\.example/[^\"]*(?=\">)", page)) for page in pages] == [
        50, 11, 0,
    ]  # fmt: skip
    assert "51 to 61 of 61" in pages[1]
    assert admin_client.get(report_url(mailing, "days/")).status_code == 404


@override_settings(TRACKING_COUNTS_PER_FACET=55)
def test_all_other_links_are_the_last_line_of_a_list(mailing, readers, admin_client):
    write(
        [
            hit(Kind.CLICK, mailing, readers[0], url=f"https://shop.example/{number:02}")
            for number in range(60)
        ]
    )
    html = text_of(admin_client.get(report_url(mailing)))
    assert "Other 1 6" in plain(html)
    assert "“Other” is the sum of all the rest." in html
    pages = [plain(text_of(admin_client.get(report_url(mailing, f"links/?p={p}")))) for p in (1, 2)]
    assert ["Other 1 6" in page for page in pages] == [False, True]
    rows = admin_client.get(report_url(mailing, "links.csv")).getvalue().decode().splitlines()
    assert rows[-1] == ",Other,6,1"


@pytest.mark.parametrize(
    "query",
    [{"state": "x"}, {"q": "\0"}, {"q": "x" * 5_000}, {"p": "9" * 40}, {"p": "0"}, {"state": "\0"}],
)
def test_no_query_makes_an_error(mailing, admin_client, query):
    assert admin_client.get(report_url(mailing), query).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["no.such/1/", "x/1/", "site.affiliate/999/", "site.affiliate/x/", "site.affiliate/_00/"],
)
@pytest.mark.parametrize("part", ["", "recipients/", "recipients.csv", "links/", "report.json"])
def test_what_is_nothing_is_not_found(admin_client, path, part):
    assert admin_client.get(f"/admin/tracking/beacon/report/{path}{part}").status_code == 404


def test_an_object_without_a_beacon_says_how_to_begin(affiliate, admin_client):
    html = text_of(admin_client.get(report_url(affiliate)))
    assert "{% tracking_pixel source=object entity=reader %}" in html
    assert "tracking-funnel" not in html


def test_without_a_sending_recorded_that_is_unknown_and_not_zero(affiliate, readers, admin_client):
    write([hit(Kind.OPEN, affiliate, readers[0])])
    html = text_of(admin_client.get(report_url(affiliate)))
    assert "No sending was recorded. First hit:" in html
    assert 'title="No sending was recorded.">\N{EN DASH}<' in html
    assert "% of sent" not in html


def test_what_was_observed_outlives_its_object(mailing, admin_client):
    url = report_url(mailing)
    mailing.delete()
    # Its beacons are deleted along by the generic relation of the test's model: one is left.
    write([Hit(kind=Kind.OPEN, source=Reference("site.affiliate", url.split("/")[-2]))])
    html = text_of(admin_client.get(url))
    assert "This object has been deleted." in html


def test_reports_are_of_any_source(admin_client):
    product = Product.objects.create(sku="a/b c?#")  # a key of strange characters
    source = Source.objects.create(name="News", slug="news")
    for instance in (product, source):
        write([hit(Kind.OPEN, instance)])
        html = text_of(admin_client.get(report_url(instance)))
        assert "First hit" in html
        assert text_of(admin_client.get(report_url(instance, "report.json")))
        assert admin_client.get(report_url(instance, "links.csv")).status_code == 200


def test_without_permission_there_is_nothing(mailing, staff):
    for rest in ("", "recipients.csv", "links/", "report.json"):
        response = staff("view_visitor", "view_affiliate", "view_subscriber").get(
            report_url(mailing, rest)
        )
        assert response.status_code == 403


def test_neither_addresses_nor_session_keys_are_shown(mailing, admin_client):
    for rest in ("", "recipients.csv", "report.json"):
        response = admin_client.get(report_url(mailing, rest))
        content = b"".join(response) if response.streaming else response.content
        assert b"203.0.113" not in content


def test_hostile_names_and_links_stay_text(affiliate, admin_client):
    affiliate.name = NASTY
    affiliate.save()
    reader = Subscriber.objects.create(email=NASTY)
    links = ("javascript:alert(1)", f"https://shop.example/{NASTY}", NASTY)
    write([hit(Kind.CLICK, affiliate, reader, url=url) for url in links])
    html = admin_client.get(report_url(affiliate)).content.decode()
    assert "<script>alert" not in html
    assert 'href="javascript' not in html
    outside = re.findall(r'<a [^>]*target="_blank"[^>]*>', html)
    assert len(outside) == 1
    assert 'rel="noopener noreferrer"' in outside[0]


def test_tables_are_files(mailing, readers, admin_client):
    for name, number in (
        ("recipients", 5), ("links", 1), ("countries", 1), ("clients", 1), ("quarters", 96),
    ):  # fmt: skip
        response = admin_client.get(report_url(mailing, f"{name}.csv"))
        assert response.streaming
        assert response["Content-Disposition"] == f'attachment; filename="leaf-letter-{name}.csv"'
        rows = list(csv.reader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
        assert len(rows) == number + 1, name
    assert admin_client.get(report_url(mailing, "beacons.csv")).status_code == 404


def test_all_of_it_is_json(mailing, readers, admin_client):
    response = admin_client.get(report_url(mailing, "report.json"))
    assert response["Content-Type"] == "application/json"
    report = json.loads(response.content)
    assert report["name"] == "Leaf Letter"
    assert report["opened"]["confirmed"] == 2
    assert {one["label"] for one in report["recipients"]} == {str(reader) for reader in readers}


def test_a_report_takes_few_queries(mailing, admin_client, django_assert_max_num_queries):
    admin_client.get(report_url(mailing))
    # The session and the user; the object, twice; what the report counts, of which no day is
    # counted yet; the recipients, and their names, twice. With eight for savepoints.
    with django_assert_max_num_queries(40):
        admin_client.get(report_url(mailing))
