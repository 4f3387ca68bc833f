"""The report of a mailing in the admin, and the ways there from the site's own models."""

import csv
import io
import json
import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.site.admin import AffiliateAdmin, SubscriberAdmin
from tests.site.models import Affiliate, Product, Subscriber
from tests.support.admin_pages import text_of
from tracking.admin import TrackingAdminMixin
from tracking.admin.reports import campaign, object_names
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, Source, Target
from tracking.recording import write
from tracking.rollups.days import today

pytestmark = pytest.mark.django_db

NASTY = "<script>alert('x')</script>"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"
NOW = datetime.now(UTC)


def hit(kind, source, entity=None, user_agent=BROWSER, ago=60, **values):
    values.setdefault("time", NOW - timedelta(minutes=ago))
    return Hit(
        kind=kind,
        source=Reference.to(source),
        entity=entity and Reference.to(entity),
        user_agent=user_agent,
        **values,
    )


@pytest.fixture
def affiliate():
    return Affiliate.objects.create(name="Leaf Letter")


@pytest.fixture
def readers():
    """Five of them; a user that may not see them sees their keys."""
    emails = ("anna", "ben", "cleo", "dora", "emil")
    return [Subscriber.objects.create(email=f"{name}@mail.example") for name in emails]


@pytest.fixture
def mailing(affiliate, readers):
    """Sent to five: one clicked, one opened, one by a proxy, one by a machine, one nothing."""
    anna, ben, cleo, dora, _emil = readers
    tea = "https://shop.example/tea"
    write(
        [
            *(hit(Kind.SENT, affiliate, reader, "", ago=120) for reader in readers),
            hit(Kind.OPEN, affiliate, anna, ip_address="203.0.113.77"),
            hit(Kind.OPEN, affiliate, anna, ago=50),
            hit(Kind.CLICK, affiliate, anna, ago=49, url=tea),
            hit(Kind.CLICK, affiliate, anna, ago=48, url=tea),
            hit(Kind.OPEN, affiliate, ben),
            hit(Kind.OPEN, affiliate, cleo, GMAIL),
            hit(Kind.OPEN, affiliate, dora, APPLE),
        ]
    )
    return affiliate


def url_of(instance, rest=""):
    reference = Reference.to(instance)
    return f"/admin/tracking/beacon/report/{reference.label}/{quote(reference.pk)}/{rest}"


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def listed(html):
    """Return the recipients of a page with their states."""
    block = re.search(r'<section class="[^"]*" id="recipients".*?</section>', html, re.DOTALL)[0]
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", block, re.DOTALL)
    cells = ([c.strip() for c in re.sub(r"<[^>]+>", "\n", row).split("\n")] for row in rows)
    return {row[0]: row[1] for row in ([c for c in row if c] for row in cells)}


def test_the_funnel_counts_each_recipient_once(mailing, admin_client):
    html = text_of(admin_client.get(url_of(mailing)))
    assert "Report: Leaf Letter" in html
    assert "to 5 recipients." in html
    steps = re.search(r'<ol class="tracking-funnel">.*?</ol>', html, re.DOTALL)[0]
    text = plain(steps)
    assert "Sent 5" in text
    assert "Opened 2 40.0% of sent 3 in all" in text
    assert "Clicked 1 20.0% of sent 2 in all 33.3% of those who saw it" in text


def test_what_was_opened_is_told_in_three_parts(mailing, admin_client):
    html = text_of(admin_client.get(url_of(mailing)))
    text = plain(html)
    assert "Confirmed 2 (40.0%)" in text
    assert "Proxied 1 (20.0%)" in text
    assert "Machine 1 (20.0%)" in text
    assert "No image loaded 1 (20.0%)" in text
    assert "The reader's mail provider" in text or "the reader's mail provider" in text
    assert re.search(r'<rect class="tracking-part-confirmed"[^>]* width="40%"', html)
    assert "<desc" in html


def test_a_mailing_that_is_over_is_not_drawn_as_a_line_along_the_axis(affiliate, admin_client):
    # Noons of the site's calendar: 24 hours are not a day where the clocks change.
    noon = datetime.combine(today(), time(12), ZoneInfo("Europe/Berlin"))
    moments = [noon - timedelta(days=days) for days in (60, 58)]
    write([hit(Kind.OPEN, affiliate, time=moment) for moment in moments])
    html = text_of(admin_client.get(url_of(affiliate)))
    chart = re.search(r'<section [^>]*aria-labelledby="days-head".*?</section>', html, re.DOTALL)[0]
    assert len(re.findall(r'<th scope="row"', chart)) == 9  # three, and six of silence
    rows = admin_client.get(url_of(affiliate, "days.csv")).getvalue().decode().splitlines()
    assert len(rows) == 1 + 61


def test_links_countries_and_clients_are_of_people(mailing, admin_client):
    html = text_of(admin_client.get(url_of(mailing)))
    assert "https://shop.example/tea 1 2" in plain(html).replace("\N{NORTH EAST ARROW} ", "")
    assert "GoogleImageProxy" not in html
    assert "Only hits by people" in html


def test_recipients_have_states(mailing, admin_client):
    html = text_of(admin_client.get(url_of(mailing)))
    pks = {s.email: s for s in Subscriber.objects.all()}
    states = {name: listed(html)[str(subscriber)] for name, subscriber in pks.items()}
    assert states == {
        "anna@mail.example": "Clicked",
        "ben@mail.example": "Opened",
        "cleo@mail.example": "Proxied open",
        "dora@mail.example": "Machine only",
        "emil@mail.example": "Nothing",
    }
    for state, email in (("clicked", "anna"), ("nothing", "emil")):
        html = text_of(admin_client.get(url_of(mailing), {"state": state}))
        assert set(listed(html)) == {str(pks[f"{email}@mail.example"])}
    html = text_of(admin_client.get(url_of(mailing), {"q": "cleo@"}))
    assert set(listed(html)) == {str(pks["cleo@mail.example"])}


def test_a_long_list_of_recipients_has_pages(affiliate, admin_client):
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(53)]
    write([hit(Kind.SENT, affiliate, reader) for reader in readers])
    html = text_of(admin_client.get(url_of(affiliate), {"state": "nothing"}))
    assert len(listed(html)) == 50
    [following] = re.findall(r'href="([^"]+p=2[^"]*)"', html)
    assert "state=nothing" in following
    assert following.endswith("#recipients")
    assert len(listed(text_of(admin_client.get(following)))) == 3


def test_long_lists_have_pages_of_their_own(mailing, readers, admin_client):
    write(
        [
            hit(Kind.CLICK, mailing, readers[0], url=f"https://shop.example/{number}")
            for number in range(60)
        ]
    )
    html = text_of(admin_client.get(url_of(mailing)))
    assert "https://shop.example/59" not in html
    assert f'href="{url_of(mailing, "links/")}"' in html
    assert f'href="{url_of(mailing, "countries/")}"' not in html  # all are shown
    pages = [text_of(admin_client.get(url_of(mailing, f"links/?p={p}"))) for p in (1, 2, 3)]
    assert [len(re.findall(r"https://shop\.example/[^\"]*(?=\">)", page)) for page in pages] == [
        50, 11, 0,
    ]  # fmt: skip
    assert "51 to 61 of 61" in pages[1]
    assert admin_client.get(url_of(mailing, "days/")).status_code == 404


@pytest.mark.parametrize(
    "query",
    [{"state": "x"}, {"q": "\0"}, {"q": "x" * 5_000}, {"p": "9" * 40}, {"p": "0"}, {"state": "\0"}],
)
def test_no_query_makes_an_error(mailing, admin_client, query):
    assert admin_client.get(url_of(mailing), query).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["no.such/1/", "x/1/", "site.affiliate/999/", "site.affiliate/x/", "site.affiliate/_00/"],
)
@pytest.mark.parametrize("part", ["", "recipients/", "recipients.csv", "links/", "report.json"])
def test_what_is_nothing_is_not_found(admin_client, path, part):
    assert admin_client.get(f"/admin/tracking/beacon/report/{path}{part}").status_code == 404


def test_an_object_without_a_beacon_says_how_to_begin(affiliate, admin_client):
    html = text_of(admin_client.get(url_of(affiliate)))
    assert "{% tracking_pixel source=object entity=reader %}" in html
    assert "tracking-funnel" not in html


def test_without_a_sending_recorded_that_is_unknown_and_not_zero(affiliate, readers, admin_client):
    write([hit(Kind.OPEN, affiliate, readers[0])])
    html = text_of(admin_client.get(url_of(affiliate)))
    assert "No sending was recorded. The first hit:" in html
    assert 'title="No sending was recorded.">\N{EN DASH}<' in html
    assert "% of sent" not in html


def test_what_was_observed_outlives_its_object(mailing, admin_client):
    url = url_of(mailing)
    mailing.delete()
    # Its beacons are deleted along by the generic relation of the test's model: one is left.
    write([Hit(kind=Kind.OPEN, source=Reference("site.affiliate", url.split("/")[-2]))])
    html = text_of(admin_client.get(url))
    assert "has been deleted since" in html


def test_reports_are_of_any_source(admin_client):
    product = Product.objects.create(sku="a/b c?#")  # a key of strange characters
    source = Source.objects.create(name="News", slug="news")
    for instance in (product, source):
        write([hit(Kind.OPEN, instance)])
        html = text_of(admin_client.get(url_of(instance)))
        assert "The first hit" in html
        assert text_of(admin_client.get(url_of(instance, "report.json")))
        assert admin_client.get(url_of(instance, "links.csv")).status_code == 200


def test_without_permission_there_is_nothing(mailing, staff):
    for rest in ("", "recipients.csv", "links/", "report.json"):
        response = staff("view_visitor", "view_affiliate", "view_subscriber").get(
            url_of(mailing, rest)
        )
        assert response.status_code == 403


def test_names_are_shown_as_the_admin_shows_them(mailing, readers, staff):
    """Neither on the page nor in a file nor by a search."""
    anna = readers[0]
    clerk = staff("view_beacon")
    html = text_of(clerk.get(url_of(mailing)))
    assert "Leaf Letter" not in html
    assert f"Report: site.affiliate {mailing.pk}" in html
    assert f"site.subscriber {anna.pk}" in listed(html)
    assert str(anna) not in html
    assert listed(text_of(clerk.get(url_of(mailing), {"q": "anna"}))) == {}
    for rest in ("recipients.csv", "report.json"):
        response = clerk.get(url_of(mailing, rest))
        content = b"".join(response) if response.streaming else response.content
        assert str(anna).encode() not in content
        assert b"Leaf Letter" not in content
        assert f"site.subscriber {anna.pk}".encode() in content
    clerk = staff("view_subscriber")
    html = text_of(clerk.get(url_of(mailing)))
    assert str(anna) in html
    assert str(anna) in text_of(clerk.get(url_of(mailing), {"q": "anna"}))


def test_a_search_does_not_find_what_the_admin_hides(mailing, readers, staff, monkeypatch):
    def only_ben(self, request):
        return Subscriber.objects.filter(email="ben@mail.example")

    monkeypatch.setattr(SubscriberAdmin, "get_queryset", only_ben)
    clerk = staff("view_beacon", "view_subscriber")
    html = text_of(clerk.get(url_of(mailing), {"q": "anna"}))
    assert listed(html) == {}


def test_a_search_does_not_find_rows_that_may_not_be_viewed(mailing, staff, monkeypatch):
    def may_view(self, request, obj=None):
        return obj is None or obj.email != "anna@mail.example"

    monkeypatch.setattr(SubscriberAdmin, "has_view_permission", may_view)
    clerk = staff("view_beacon", "view_subscriber")
    shown = listed(text_of(clerk.get(url_of(mailing))))
    assert sorted(name.partition(" ")[0] for name in shown) == [
        *["Subscriber"] * 4,
        "site.subscriber",
    ]
    assert listed(text_of(clerk.get(url_of(mailing), {"q": "anna"}))) == {}


def test_a_search_looks_where_this_admin_does_and_not_another(mailing, admin_client, monkeypatch):
    friend = Affiliate.objects.create(name="Twig")
    write([hit(Kind.OPEN, mailing, friend)])
    assert listed(text_of(admin_client.get(url_of(mailing), {"q": "Twig"}))) == {"Twig": "Opened"}
    monkeypatch.setattr(AffiliateAdmin, "search_fields", ())
    elsewhere = admin.AdminSite("elsewhere")
    elsewhere.register(Affiliate, search_fields=("name",))
    assert listed(text_of(admin_client.get(url_of(mailing), {"q": "Twig"}))) == {}


def test_neither_addresses_nor_session_keys_are_shown(mailing, admin_client):
    for rest in ("", "recipients.csv", "report.json"):
        response = admin_client.get(url_of(mailing, rest))
        content = b"".join(response) if response.streaming else response.content
        assert b"203.0.113" not in content


def test_hostile_names_and_links_stay_text(affiliate, admin_client):
    affiliate.name = NASTY
    affiliate.save()
    reader = Subscriber.objects.create(email=NASTY)
    links = ("javascript:alert(1)", f"https://shop.example/{NASTY}", NASTY)
    write([hit(Kind.CLICK, affiliate, reader, url=url) for url in links])
    html = admin_client.get(url_of(affiliate)).content.decode()
    assert "<script>alert" not in html
    assert 'href="javascript' not in html
    outside = re.findall(r'<a [^>]*target="_blank"[^>]*>', html)
    assert len(outside) == 1
    assert 'rel="noopener noreferrer"' in outside[0]


def test_tables_are_files(mailing, readers, admin_client):
    for name, number in (
        ("recipients", 5), ("links", 1), ("countries", 1), ("clients", 1), ("quarters", 96),
    ):  # fmt: skip
        response = admin_client.get(url_of(mailing, f"{name}.csv"))
        assert response.streaming
        assert response["Content-Disposition"] == f'attachment; filename="leaf-letter-{name}.csv"'
        rows = list(csv.reader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
        assert len(rows) == number + 1, name
    assert admin_client.get(url_of(mailing, "beacons.csv")).status_code == 404


def test_recipients_in_a_file_are_looked_up_in_chunks(mailing, admin_client, monkeypatch):
    monkeypatch.setattr(object_names, "CHUNK", 2)
    content = b"".join(admin_client.get(url_of(mailing, "recipients.csv"))).decode()
    assert len(content.splitlines()) == 6
    for subscriber in Subscriber.objects.all():
        assert str(subscriber) in content


def test_all_of_it_is_json(mailing, readers, admin_client):
    response = admin_client.get(url_of(mailing, "report.json"))
    assert response["Content-Type"] == "application/json"
    report = json.loads(response.content)
    assert report["name"] == "Leaf Letter"
    assert report["opened"]["confirmed"] == 2
    assert {one["label"] for one in report["recipients"]} == {str(reader) for reader in readers}


def test_the_recipients_of_a_large_mailing_have_a_page_of_their_own(
    mailing, admin_client, monkeypatch
):
    monkeypatch.setattr(campaign, "MAX_BEACONS", 3)
    html = text_of(admin_client.get(url_of(mailing)))
    assert listed(html) == {}
    url = url_of(mailing, "recipients/")
    assert f'href="{url}"' in html
    assert f'action="{url}#recipients"' in html
    assert len(listed(text_of(admin_client.get(url)))) == 5
    assert len(listed(text_of(admin_client.get(url, {"q": "emil"})))) == 1


def test_a_report_takes_few_queries(mailing, admin_client, django_assert_max_num_queries):
    admin_client.get(url_of(mailing))
    # The session and the user; the object, twice; what the report counts, of which no day is
    # counted yet; the recipients, and their names, twice. With eight for savepoints.
    with django_assert_max_num_queries(40):
        admin_client.get(url_of(mailing))


# The ways there.


def test_the_page_of_a_source_links_to_its_report(mailing, admin_client, staff):
    change = f"/admin/site/affiliate/{mailing.pk}/change/"
    assert f'href="{url_of(mailing)}"' in text_of(admin_client.get(change))
    assert "/admin/tracking/beacon/report/" not in text_of(
        admin_client.get("/admin/site/affiliate/add/")
    )
    html = text_of(staff("view_affiliate").get(change))
    assert "/report/" not in html
    source = Source.objects.create(name="News", slug="news")
    html = text_of(admin_client.get(f"/admin/tracking/source/{source.pk}/change/"))
    assert f'href="{url_of(source)}"' in html
    target = Target.objects.create(name="Tea", url="https://shop.example/tea")
    html = text_of(admin_client.get(f"/admin/tracking/target/{target.pk}/change/"))
    assert "/overview/?link=https%3A%2F%2Fshop.example%2Ftea" in html


def test_the_mixin_keeps_the_template_that_a_page_has(mailing, rf, admin_user):
    class OwnTemplate(TrackingAdminMixin, admin.ModelAdmin):
        change_form_template = "admin/tracking/bannedip/change_form.html"

    request = rf.get("/")
    request.user = admin_user
    response = OwnTemplate(Affiliate, admin.site).change_view(request, str(mailing.pk))
    html = response.render().content.decode()
    assert "tracking/admin.css" in html  # that is what the template adds
    assert url_of(mailing) in html


def test_the_mixin_leaves_answers_alone_that_are_no_templates(mailing, admin_user):
    class Own(admin.ModelAdmin):
        def render_change_form(self, *args, **kwargs):
            return HttpResponse("mine")

    class Mixed(TrackingAdminMixin, Own):
        pass

    request = RequestFactory().get("/")
    request.user = admin_user
    assert Mixed(Affiliate, admin.site).change_view(request, str(mailing.pk)).content == b"mine"


def test_lists_show_opens_and_clicks(mailing, admin_client, staff):
    Affiliate.objects.create(name="Quiet")
    text = plain(text_of(admin_client.get("/admin/site/affiliate/")))
    assert "Leaf Letter 2 3 in all 1 2 in all" in text
    assert "Quiet 0 0" in text
    html = text_of(staff("view_affiliate").get("/admin/site/affiliate/"))
    assert "in all" not in html
    assert "unique opens" not in html.lower()


def test_a_list_with_columns_can_be_edited(mailing, admin_client, monkeypatch):
    monkeypatch.setattr(AffiliateAdmin, "list_display", ("id", "name", "tracking_opens"))
    monkeypatch.setattr(AffiliateAdmin, "list_editable", ("name",))
    html = text_of(admin_client.get("/admin/site/affiliate/"))
    assert 'name="form-0-name"' in html
    assert "3 in all" in html
    form = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": mailing.pk,
        "form-0-name": "Twig Letter",
        "_save": "Save",
    }
    assert admin_client.post("/admin/site/affiliate/", form).status_code == 302
    mailing.refresh_from_db()
    assert mailing.name == "Twig Letter"


def test_the_columns_of_a_list_take_no_query_for_each_line(admin_client):
    def queries(number):
        for n in range(number):
            source = Source.objects.create(name=f"s{n}", slug=f"s{number}-{n}")
            write([hit(Kind.OPEN, source), hit(Kind.CLICK, source, url="https://shop.example/")])
        admin_client.get("/admin/tracking/source/")
        with CaptureQueriesContext(connection) as captured:
            admin_client.get("/admin/tracking/source/")
        return len(captured)

    assert queries(2) == queries(20)


def test_tallies_are_those_of_the_report(mailing, admin_client):
    assert AffiliateAdmin.tracking_role == "source"
    report = json.loads(admin_client.get(url_of(mailing, "report.json")).content)
    text = plain(text_of(admin_client.get("/admin/site/affiliate/")))
    opened, clicked = report["opened"], report["clicked"]
    assert (
        f"{opened['confirmed']} {opened['total']} in all {clicked['unique']} {clicked['total']}"
    ) in text
    assert Beacon.objects.filter(kind=Kind.OPEN).count() > opened["total"]
