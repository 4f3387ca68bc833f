"""The recipients of a campaign: their states, their names, and the search."""

import re

import pytest
from django.contrib import admin

from tests.site.admin import AffiliateAdmin, SubscriberAdmin
from tests.site.models import Affiliate, Subscriber
from tests.support.admin_pages import text_of
from tests.support.mailings import hit, report_url
from tracking.admin.reports import campaign, row_names
from tracking.hits import Kind
from tracking.recording import write

pytestmark = pytest.mark.django_db


def listed(html):
    """Return the recipients of a page with their states."""
    block = re.search(r'<section class="[^"]*"\s+id="recipients".*?</section>', html, re.DOTALL)[0]
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", block, re.DOTALL)
    cells = ([c.strip() for c in re.sub(r"<[^>]+>", "\n", row).split("\n")] for row in rows)
    return {row[0]: row[1] for row in ([c for c in row if c] for row in cells)}


def test_recipients_have_states(mailing, admin_client):
    html = text_of(admin_client.get(report_url(mailing)))
    pks = {s.email: s for s in Subscriber.objects.all()}
    states = {name: listed(html)[str(subscriber)] for name, subscriber in pks.items()}
    assert states == {
        "anna@mail.example": "Confirmed",
        "ben@mail.example": "Confirmed",
        "cleo@mail.example": "Proxied",
        "dora@mail.example": "Machine only",
        "emil@mail.example": "Nothing recorded",
    }
    for state, email in (("clicked", "anna"), ("nothing", "emil")):
        html = text_of(admin_client.get(report_url(mailing), {"state": state}))
        assert set(listed(html)) == {str(pks[f"{email}@mail.example"])}
    html = text_of(admin_client.get(report_url(mailing), {"q": "cleo@"}))
    assert set(listed(html)) == {str(pks["cleo@mail.example"])}


def test_a_long_list_of_recipients_has_pages(affiliate, admin_client):
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(53)]
    write([hit(Kind.SENT, affiliate, reader) for reader in readers])
    html = text_of(admin_client.get(report_url(affiliate), {"state": "nothing"}))
    assert len(listed(html)) == 50
    [following] = re.findall(r'href="([^"]+p=2[^"]*)"', html)
    assert "state=nothing" in following
    assert following.endswith("#recipients")
    assert len(listed(text_of(admin_client.get(following)))) == 3


def test_names_are_shown_as_the_admin_shows_them(mailing, readers, staff):
    """Neither on the page nor in a file nor by a search."""
    anna = readers[0]
    clerk = staff("view_beacon")
    html = text_of(clerk.get(report_url(mailing)))
    assert "Leaf Letter" not in html
    assert f"Report: site.affiliate {mailing.pk}" in html
    assert f"site.subscriber {anna.pk}" in listed(html)
    assert str(anna) not in html
    assert listed(text_of(clerk.get(report_url(mailing), {"q": "anna"}))) == {}
    for rest in ("recipients.csv", "report.json"):
        response = clerk.get(report_url(mailing, rest))
        content = b"".join(response) if response.streaming else response.content
        assert str(anna).encode() not in content
        assert b"Leaf Letter" not in content
        assert f"site.subscriber {anna.pk}".encode() in content
    clerk = staff("view_subscriber")
    html = text_of(clerk.get(report_url(mailing)))
    assert str(anna) in html
    assert str(anna) in text_of(clerk.get(report_url(mailing), {"q": "anna"}))


def test_a_search_does_not_find_what_the_admin_hides(mailing, readers, staff, monkeypatch):
    def only_ben(self, request):
        return Subscriber.objects.filter(email="ben@mail.example")

    monkeypatch.setattr(SubscriberAdmin, "get_queryset", only_ben)
    clerk = staff("view_beacon", "view_subscriber")
    html = text_of(clerk.get(report_url(mailing), {"q": "anna"}))
    assert listed(html) == {}


def test_a_search_does_not_find_rows_that_may_not_be_viewed(mailing, staff, monkeypatch):
    def may_view(self, request, obj=None):
        return obj is None or obj.email != "anna@mail.example"

    monkeypatch.setattr(SubscriberAdmin, "has_view_permission", may_view)
    clerk = staff("view_beacon", "view_subscriber")
    shown = listed(text_of(clerk.get(report_url(mailing))))
    assert sorted(name.partition(" ")[0] for name in shown) == [
        *["Subscriber"] * 4,
        "site.subscriber",
    ]
    assert listed(text_of(clerk.get(report_url(mailing), {"q": "anna"}))) == {}


def test_a_search_looks_where_this_admin_does_and_not_another(mailing, admin_client, monkeypatch):
    friend = Affiliate.objects.create(name="Twig")
    write([hit(Kind.OPEN, mailing, friend)])
    assert listed(text_of(admin_client.get(report_url(mailing), {"q": "Twig"}))) == {
        "Twig": "Confirmed"
    }
    monkeypatch.setattr(AffiliateAdmin, "search_fields", ())
    elsewhere = admin.AdminSite("elsewhere")
    elsewhere.register(Affiliate, search_fields=("name",))
    assert listed(text_of(admin_client.get(report_url(mailing), {"q": "Twig"}))) == {}


def test_recipients_in_a_file_are_looked_up_in_chunks(mailing, admin_client, monkeypatch):
    monkeypatch.setattr(row_names, "CHUNK", 2)
    content = b"".join(admin_client.get(report_url(mailing, "recipients.csv"))).decode()
    assert len(content.splitlines()) == 6
    for subscriber in Subscriber.objects.all():
        assert str(subscriber) in content


def test_the_recipients_of_a_large_mailing_have_a_page_of_their_own(
    mailing, admin_client, monkeypatch
):
    monkeypatch.setattr(campaign, "MAX_BEACONS", 3)
    html = text_of(admin_client.get(report_url(mailing)))
    assert listed(html) == {}
    url = report_url(mailing, "recipients/")
    assert f'href="{url}"' in html
    assert f'action="{url}#recipients"' in html
    assert len(listed(text_of(admin_client.get(url)))) == 5
    assert len(listed(text_of(admin_client.get(url, {"q": "emil"})))) == 1
