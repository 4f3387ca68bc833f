"""The overview in the admin: figures, links and permissions."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.site.models import Affiliate, Subscriber
from tests.support.admin_pages import text_of
from tracking.admin import BeaconAdmin, VisitorAdmin
from tracking.admin.reports import overview_frame
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, FilteredCount, Visitor
from tracking.recording import write
from tracking.reports import formatting
from tracking.rollups import completeness, months
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db

OVERVIEW = "/admin/tracking/beacon/overview/"
NASTY = "<script>alert('x')</script>"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def visit(visitor="anna", *urls, ago=timedelta(0), **values):
    """A visit that has seen some pages, a second each."""
    start = timezone.now() - ago - timedelta(seconds=len(urls or "/"))
    values = {"user_agent": BROWSER, **values}
    write(
        [
            PageHit(visitor=visitor, url=url, time=start + timedelta(seconds=number), **values)
            for number, url in enumerate(urls or ["/"])
        ]
    )


def beacon(kind=Kind.OPEN, **values):
    tied = {role: Reference.to(values.pop(role)) for role in ("source", "entity") if role in values}
    write([Hit(kind=kind, user_agent=BROWSER, **tied, **values)])


def figures(html):
    """Return the figures of a page by their names, as they are written."""
    pairs = re.findall(
        r'tracking-name">([^<]+)</span>\s*<span class="tracking-value"[^>]*>([^<]+)<', html
    )
    return dict(pairs)


def lines(html, key):
    """Return the lines of a list: name and first number."""
    block = re.search(rf'<section class="[^"]*"\s+id="{key}".*?</section>', html, re.DOTALL)[0]
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", block, re.DOTALL)
    plain = (re.sub(r"<[^>]+>", "\n", row).split("\n") for row in rows)
    words = ([part.strip() for part in row if part.strip(" \N{NORTH EAST ARROW}")] for row in plain)
    return [(name, number) for name, number, *_rest in words]


def hrefs(html):
    return [unescape(url) for url in re.findall(r'href="([^"]+)"', html)]


def test_the_figures_are_those_of_the_rows(admin_client):
    anna = Subscriber.objects.create(email="anna@mail.example")
    visit("anna", "/", "/tea/", "/cart/")
    visit("ben", "/tea/")
    beacon(entity=anna)
    beacon(entity=anna)
    beacon(Kind.CLICK, entity=anna, url="https://shop.example/tea")
    html = text_of(admin_client.get(OVERVIEW))
    assert figures(html) == {
        "Visitors": "2",
        "Visits": "2",
        "Page views": "4",
        "Bounce rate": "50.0%",
        "Visit length": "1 s",
        "Opened (daily unique)": "1",
        "Clicked (daily unique)": "1",
    }
    assert "2 opens" in html
    assert lines(html, "pages") == [("/tea/", "2"), ("/", "1"), ("/cart/", "1")]
    assert lines(html, "links") == [("https://shop.example/tea", "1")]


def test_a_change_has_a_sign_and_a_word(admin_client):
    visit("anna", ago=timedelta(days=8))
    visit("ben", ago=timedelta(days=1))
    visit("cleo", ago=timedelta(days=2))
    html = text_of(admin_client.get(OVERVIEW, {"period": "7"}))
    assert '+100%<span class="tracking-visually-hidden">, up</span>' in html
    html = text_of(admin_client.get(OVERVIEW, {"period": "30"}))
    assert "no earlier data" in html


def test_all_that_is_chosen_is_in_every_link(admin_client):
    visit("anna", "/tea/", "/cart/")
    chosen = {"period": "7", "page": "/tea/", "series": "page_views", "technology": "systems"}
    html = text_of(admin_client.get(OVERVIEW, chosen))
    links = [url for url in hrefs(html) if url.startswith(f"{OVERVIEW}?")]
    assert len(links) > 12
    for url in links:
        query = parse_qs(urlsplit(url).query)
        different = {name for name in chosen if query.get(name) != [chosen[name]]}
        assert len(different) <= 1, url


def test_each_line_filters_the_page_and_each_filter_is_a_chip(admin_client):
    visit("anna", "/tea/", referrer="https://search.example/q")
    visit("ben", "/cart/")
    html = text_of(admin_client.get(OVERVIEW))
    [to_tea] = [url for url in hrefs(html) if "page=%2Ftea%2F" in url]
    html = text_of(admin_client.get(to_tea))
    assert figures(html)["Visitors"] == "1"
    assert lines(html, "origins") == [("search.example", "1")]
    chip = re.search(r'<ul class="tracking-chips".*?</ul>', html, re.DOTALL)[0]
    assert "Page" in chip
    assert "/tea/" in chip
    html = text_of(admin_client.get(hrefs(chip)[0]))
    assert figures(html)["Visitors"] == "2"
    assert "tracking-chips" not in html


@pytest.mark.parametrize("medium", ["(none)", "\\(none)", "\\\\(none)"])
def test_a_value_that_looks_like_none_is_one_of_its_own(admin_client, medium):
    visit("anna", campaign={"medium": medium})
    visit("ben")
    html = text_of(admin_client.get(OVERVIEW, {"origins": "mediums"}))
    [narrowed] = [url for url in hrefs(html) if "medium=" in url and ".csv" not in url]
    html = text_of(admin_client.get(narrowed))
    assert figures(html)["Visits"] == "1"
    assert lines(html, "origins") == [(medium, "1")]


def test_what_the_filters_say_nothing_about_is_unknown_and_not_zero(admin_client):
    visit()
    beacon(Kind.CLICK, url="https://shop.example/tea")
    html = text_of(admin_client.get(OVERVIEW, {"link": "https://shop.example/tea"}))
    assert figures(html)["Visitors"] == "\N{EN DASH}"
    assert 'title="Not available with these filters."' in html
    assert figures(html)["Clicked (daily unique)"] == "1"
    # The chart is of the first figure that is known; of another only who asks for it.
    assert '<title id="series-title">Clicked (daily unique)</title>' in html
    query = {"link": "https://shop.example/tea", "series": "visits"}
    html = text_of(admin_client.get(OVERVIEW, query))
    assert '<p class="tracking-note">Not available with these filters.</p>' in html
    assert "tracking-chart" not in html


def test_a_figure_becomes_the_series_of_the_chart(admin_client):
    visit("anna", "/", "/tea/")
    html = text_of(admin_client.get(OVERVIEW))
    assert '<title id="series-title">Visitors</title>' in html
    [url] = [url for url in hrefs(html) if "series=page_views" in url]
    html = text_of(admin_client.get(url))
    assert '<title id="series-title">Page views</title>' in html
    assert html.count('aria-current="true"') == 2  # the range, and the figure


@pytest.mark.parametrize(
    ("period", "buckets"), [("today", (23, 24, 25)), ("7", (7,)), ("30", (30,)), ("90", (90,))]
)
def test_the_chart_has_a_point_for_each_piece_of_the_period(admin_client, period, buckets):
    visit()
    html = text_of(admin_client.get(OVERVIEW, {"period": period}))
    assert html.count('<g class="tracking-point">') in buckets


def test_a_custom_period(admin_client):
    visit("anna", ago=timedelta(days=40))
    first, last = (timezone.now() - timedelta(days=days) for days in (45, 35))
    query = {"period": "custom", "first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}"}
    html = text_of(admin_client.get(OVERVIEW, query))
    assert figures(html)["Visitors"] == "1"
    assert f'value="{query["first"]}"' in html
    assert html.count('<g class="tracking-point">') == 11


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"period": "century"}, "Unknown period"),
        ({"period": "custom", "first": "yesterday", "last": "x"}, "is not a day"),
        ({"period": "custom", "first": "2020-02-02", "last": "2019-01-01"}, "after the last"),
        ({"country": "Germany"}, "two letters"),
        ({"mailing": "no.such:1"}, "is not an object"),
        ({"page": "\0"}, "unknown value"),
        ({"series": "\0"}, ""),
        ({"origins": "pages", "technology": "x"}, ""),
        ({"p": "-1"}, ""),
    ],
)
def test_what_makes_no_sense_is_said_and_ignored(admin_client, query, said):
    visit()
    html = text_of(admin_client.get(OVERVIEW, query))
    assert figures(html)["Visitors"] == "1"
    assert said in html


class AnyQuery(TestCase):
    """No query string makes an error."""

    @classmethod
    def setUpTestData(cls):
        visit("anna", "/tea/")
        cls.user = get_user_model().objects.create_superuser("boss")

    @pytest.mark.long
    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(
        st.dictionaries(
            st.sampled_from(
                ["period", "first", "last", "page", "country", "device", "mailing", "series",
                 "link", "referrer", "source", "technology", "p"]
            ),
            st.one_of(
                st.text(max_size=30),
                st.sampled_from(["custom", "(none)", "0001-01-01", "9999-12-31", "9" * 30, "DE"]),
            ),
        ),
        st.sampled_from([OVERVIEW, f"{OVERVIEW}pages/", f"{OVERVIEW}links.csv"]),
    )  # fmt: skip
    def test_no_query_makes_an_error(self, query, url):
        self.client.force_login(self.user)
        assert self.client.get(url, query).status_code == 200


def test_hostile_names_and_links_stay_text(admin_client):
    visit("anna", NASTY, referrer=NASTY, campaign={"source": NASTY, "campaign": NASTY})
    beacon(Kind.CLICK, url="javascript:alert(1)")
    beacon(Kind.CLICK, url="https://shop.example/?a=\"><script>alert('x')</script>")
    for query in ({}, {"page": NASTY}, {"campaign": NASTY, "origins": "sources"}):
        html = admin_client.get(OVERVIEW, query).content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html
        assert 'href="javascript' not in html
    html = admin_client.get(OVERVIEW).content.decode()
    outside = re.findall(r'<a [^>]*target="_blank"[^>]*>', html)
    assert len(outside) == 1
    assert 'rel="noopener noreferrer"' in outside[0]


def test_without_permission_there_is_nothing(staff):
    visit("anna", "/secret-page/")
    urls = [OVERVIEW, f"{OVERVIEW}pages/", f"{OVERVIEW}pages.csv", f"{OVERVIEW}links.csv"]
    for url in urls:
        response = staff().get(url)
        assert response.status_code == 403
        assert b"secret-page" not in response.content


def test_visits_are_for_who_may_see_visitors(staff):
    visit("anna", "/secret-page/", referrer="https://secret.example/")
    beacon(Kind.CLICK, url="https://shop.example/tea")
    clerk = staff("view_beacon")
    html = text_of(clerk.get(OVERVIEW, {"series": "visitors"}))
    assert set(figures(html)) == {"Opened (daily unique)", "Clicked (daily unique)"}
    assert "secret" not in html
    assert "on the site now" not in html
    assert "Visits are hidden" in html
    assert "https://shop.example/tea" in html
    for name in ("pages", "referrers", "countries", "devices"):
        assert clerk.get(f"{OVERVIEW}{name}/").status_code == 403
        assert clerk.get(f"{OVERVIEW}{name}.csv").status_code == 403
    assert clerk.get(f"{OVERVIEW}links.csv").status_code == 200


def test_opens_and_clicks_are_for_who_may_see_beacons(staff):
    visit("anna", "/tea/")
    beacon(Kind.CLICK, url="https://secret.example/")
    clerk = staff("view_visitor")
    html = text_of(clerk.get(OVERVIEW, {"series": "daily_unique_clicks"}))
    assert "Clicked (daily unique)" not in figures(html)
    assert "secret.example" not in html
    assert "Opens and clicks are hidden" in html
    for name in ("links", "mailings"):
        assert clerk.get(f"{OVERVIEW}{name}/").status_code == 403


def test_mailings_have_names_for_who_may_see_them(staff):
    affiliate = Affiliate.objects.create(name="Anna's affiliate")
    beacon(source=affiliate)
    label = f"site.affiliate {affiliate.pk}"
    clerk = staff("view_beacon")
    html = text_of(clerk.get(OVERVIEW, {"mailing": f"site.affiliate:{affiliate.pk}"}))
    assert "Anna's" not in html
    assert html.count(label) >= 2  # the chip, and the list
    assert "Anna's" not in b"".join(clerk.get(f"{OVERVIEW}mailings.csv")).decode()
    clerk = staff("view_affiliate")
    html = text_of(clerk.get(OVERVIEW))
    assert "Anna's affiliate" in html
    assert f"/admin/tracking/beacon/report/site.affiliate/{affiliate.pk}/" in hrefs(html)
    assert "Anna's affiliate" in b"".join(clerk.get(f"{OVERVIEW}mailings.csv")).decode()


@pytest.fixture
def content_types():
    """Content types that no test remembers from another; keys are given again."""
    ContentType.objects.clear_cache()
    yield ContentType.objects
    ContentType.objects.clear_cache()


def test_no_link_leads_to_a_model_that_the_site_has_removed(admin_client, content_types):
    beacon(source=Affiliate.objects.create(name="Leaf"))
    removed = content_types.create(app_label="shop", model="removed")
    Beacon.objects.update(source_type=removed, source_id="7")
    html = text_of(admin_client.get(OVERVIEW))
    assert lines(html, "campaigns") == [("shop.removed 7", "1")]
    assert not [url for url in hrefs(html) if "removed" in url]
    text = b"".join(admin_client.get(f"{OVERVIEW}mailings.csv")).decode()
    assert "shop.removed:7," in text


def test_neither_session_keys_nor_addresses_are_shown(admin_client):
    visit("anna", session_key="the-session-key", ip_address="203.0.113.77")
    beacon(ip_address="203.0.113.78")
    html = text_of(admin_client.get(OVERVIEW))
    for secret in ("the-session-key", "203.0.113.7"):
        assert secret not in html


def test_a_long_list_has_pages(admin_client):
    for number in range(53):
        visit(f"v{number}", f"/page-{number:02}/")
    html = text_of(admin_client.get(OVERVIEW))
    assert len(lines(html, "pages")) == 10
    [more] = [url for url in hrefs(html) if url.startswith(f"{OVERVIEW}pages/")]
    html = text_of(admin_client.get(more))
    assert len(lines(html, "pages")) == 50
    assert "1 to 50 of 53" in html
    [following] = [url for url in hrefs(html) if "p=2" in url]
    html = text_of(admin_client.get(following))
    assert len(lines(html, "pages")) == 3
    assert "51 to 53 of 53" in html
    assert f"{OVERVIEW}?" in " ".join(hrefs(html))  # its lines lead to the overview
    assert admin_client.get(f"{OVERVIEW}no-such-list/").status_code == 404


@override_settings(TRACKING_COUNTS_PER_FACET=52)
def test_all_other_values_are_the_last_line_of_a_list(admin_client):
    for number in range(55):
        visit(f"v{number}", f"/page-{number:02}/")
    html = text_of(admin_client.get(OVERVIEW))
    assert lines(html, "pages")[-1] == ("Other", "3")
    assert "“Other” is the sum of all the rest." in html
    assert all(f"filter={name}" not in html for name in ("Other", "%00"))
    first, last = (text_of(admin_client.get(f"{OVERVIEW}pages/?p={p}")) for p in (1, 2))
    assert "Other" not in dict(lines(first, "pages"))
    assert lines(last, "pages") == [("/page-50/", "1"), ("/page-51/", "1"), ("Other", "3")]
    assert "51 to 52 of 52" in last
    file = b"".join(admin_client.get(f"{OVERVIEW}pages.csv")).decode("utf-8-sig")
    assert file.splitlines()[-1] == ",Other,3,3"
    html = text_of(admin_client.get(OVERVIEW, {"page": "/page-54/"}))
    assert figures(html)["Visits"] == "1"


@override_settings(TRACKING_COUNTS_PER_FACET=1)
def test_other_mailings_are_named_in_the_file(admin_client):
    for number in range(3):
        beacon(source=Affiliate.objects.create(name=f"a{number}"))
    rows = b"".join(admin_client.get(f"{OVERVIEW}mailings.csv")).decode("utf-8-sig").splitlines()
    assert [row.split(",")[1:3] for row in rows[1:]] == [["a0", "1"], ["Other", "2"]]


def test_filters_say_up_to_when_rows_were_deleted(admin_client):
    visit("anna", "/")
    completeness.note_deletion("visit", timezone.now() - timedelta(days=3), "default")
    note = "the figures up to"
    assert note in text_of(admin_client.get(OVERVIEW, {"page": "/"}))
    assert note not in text_of(admin_client.get(OVERVIEW))
    assert note not in text_of(admin_client.get(OVERVIEW, {"page": "/", "period": "today"}))


def test_a_period_of_old_days_is_shown_in_whole_months(admin_client):
    visit("anna", "/")
    today = timezone.localdate()
    first = today - timedelta(days=100)
    asked = {"period": "custom", "first": first.isoformat(), "last": today.isoformat()}
    note, missing = "whole months are shown", "The previous period is not shown"
    assert note not in text_of(admin_client.get(OVERVIEW, asked))
    months.note_first_single_day(months.month_of(first), "default")
    shown = text_of(admin_client.get(OVERVIEW, asked))
    assert note not in shown
    assert missing in shown
    assert "compared with" not in shown
    months.note_first_single_day(months.later_month(months.month_of(first)), "default")
    shown = text_of(admin_client.get(OVERVIEW, asked))
    assert note in shown
    assert missing not in shown
    assert formatting.days(months.month_of(first), today) in shown
    assert note not in text_of(admin_client.get(OVERVIEW, {**asked, "page": "/"}))
    (name,) = re.findall(
        r'filename="(.+)"',
        admin_client.get(f"{OVERVIEW}pages.csv", asked)["Content-Disposition"],
    )
    assert months.month_of(first).isoformat() in name


def test_a_list_is_a_file_that_no_spreadsheet_calculates(admin_client):
    visit("anna", "=cmd|' /C calc'!A0")
    visit("ben", "/tea/")
    response = admin_client.get(f"{OVERVIEW}pages.csv", {"period": "7"})
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="pages-[\d-]+\.csv"', response["Content-Disposition"]
    )
    rows = list(csv.reader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
    assert len(rows) == 3
    assert {row[0] for row in rows[1:]} == {"'=cmd|' /C calc'!A0", "/tea/"}


def test_an_empty_site_shows_how_to_begin(admin_client, staff):
    html = text_of(admin_client.get(OVERVIEW))
    assert "VisitorTrackingMiddleware" in html
    assert "{% tracking_pixel source=news entity=reader %}" in html
    html = text_of(staff("view_beacon").get(OVERVIEW))
    assert "VisitorTrackingMiddleware" not in html
    assert 'title="There were no visits."' in text_of(admin_client.get(OVERVIEW))
    visit(ago=timedelta(days=300))
    assert "VisitorTrackingMiddleware" not in text_of(admin_client.get(OVERVIEW))


def test_who_is_here_now_leads_to_them(admin_client):
    visit()
    visitor = Visitor.objects.get()
    visitor.last_update = datetime.now(UTC)
    visitor.save()
    html = text_of(admin_client.get(OVERVIEW))
    assert "<strong>1</strong> visitor on the site now" in html
    try:
        url = reverse("admin:tracking_visitor_active")
    except NoReverseMatch:
        url = "/admin/tracking/visitor/?active=now"
    assert url in hrefs(html)


def test_the_way_to_the_overview(admin_client, staff):
    pages = ["/admin/tracking/", "/admin/tracking/beacon/", "/admin/tracking/visitor/"]
    for page in pages:
        assert reverse("admin:tracking_overview") in hrefs(text_of(admin_client.get(page)))
    clerk = staff("view_source")
    for page in ("/admin/tracking/", "/admin/tracking/source/"):
        assert reverse("admin:tracking_overview") not in hrefs(text_of(clerk.get(page)))


class OtherSite(admin.AdminSite):
    """A site of its own, with a part of the app."""


other = OtherSite(name="other")
other.register(Beacon, BeaconAdmin)
visitors_only = OtherSite(name="visitors")
visitors_only.register(Visitor, VisitorAdmin)
urlpatterns = [path("other/", other.urls), path("visitors/", visitors_only.urls)]


@override_settings(ROOT_URLCONF=__name__)
def test_custom_admin_sites_have_an_overview(admin_client):
    visit()
    beacon(Kind.CLICK, url="https://shop.example/")
    for name, model in (("other", "beacon"), ("visitors", "visitor")):
        url = f"/{name}/tracking/{model}/overview/"
        html = text_of(admin_client.get(url))
        links = [link for link in hrefs(html) if re.match(r"/(?!static/).", link)]
        assert {link.split("/")[1] for link in links} == {name}
        assert url in " ".join(hrefs(text_of(admin_client.get(f"/{name}/tracking/"))))


def test_a_page_takes_few_queries(admin_client, django_assert_max_num_queries):
    for number in range(30):
        visit(f"v{number}", f"/page-{number}/")
        beacon(Kind.CLICK, url=f"https://shop.example/{number}")
    for affiliate in [Affiliate.objects.create(name=f"a{n}") for n in range(10)]:
        beacon(source=affiliate)
    admin_client.get(OVERVIEW)
    # The session and the user; which days are open; counts and versions of those that are not, and
    # for each table the rows of those that are; names of mailings; who is on the site now. With
    # savepoints, and with three statements by which PostgreSQL compiles none.
    with django_assert_max_num_queries(24):
        admin_client.get(OVERVIEW)
    with django_assert_max_num_queries(14):
        admin_client.get(f"{OVERVIEW}pages/")


@pytest.mark.django_db(transaction=True)
def test_while_days_are_counted_the_page_says_how_many(admin_client, monkeypatch):
    for number in range(5):
        visit(f"v{number}", "/tea/", ago=timedelta(days=number + 1))
    visit("anna", "/cart/", ago=timedelta(days=1))
    roll_up(now=timezone.now() + timedelta(days=1))
    query = {"period": "7", "page": "/tea/"}
    whole = figures(admin_client.get(OVERVIEW, query).content.decode())
    for url in (OVERVIEW, f"{OVERVIEW}pages/"):
        FilteredCount.objects.all().delete()
        monkeypatch.setattr(overview_frame, "COUNTING_SECONDS", 0)
        pages = [admin_client.get(url, query) for _ in range(10)]
        statuses = [page.status_code for page in pages]
        assert statuses == sorted(statuses, reverse=True)
        assert set(statuses) == {202, 200}
        html = pages[1].content.decode()
        assert '<meta http-equiv="refresh" content="0">' in html
        number = statuses.count(202) + 1
        assert f"2 of {number} days are counted" in html
        assert f'<progress max="{number}" value="2"' in html
        assert "style=" not in re.sub(r"(?s)<head>.*?</head>", "", html)
    assert figures(admin_client.get(OVERVIEW, query).content.decode()) == whole
    # A file is complete.
    FilteredCount.objects.all().delete()
    assert b"/tea/" in b"".join(admin_client.get(f"{OVERVIEW}pages.csv", query))
