"""What recipients of a mailing did: the page of one, and the pages that all saw."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.utils import quote
from django.utils import timezone

from tests.support.admin_pages import text_of
from tests.support.brute_force import AGENTS
from tests.support.mailings import report_url
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.recording import write

pytestmark = pytest.mark.django_db

NASTY = "/<script>alert('x')</script>/"


@pytest.fixture
def bought(affiliate, readers):
    """The first reader has bought something after a click."""
    now = timezone.now()
    tied = {"source": Reference.to(affiliate), "entity": Reference.to(readers[0])}
    common = {"visitor": "v", "user_agent": AGENTS[0]}
    click = Hit(
        kind=Kind.CLICK, time=now - timedelta(minutes=3), url="https://a.example/", **tied, **common
    )
    write([click, PageHit(url=NASTY, time=now - timedelta(minutes=2), **common)])
    event = {"event_name": "purchase", "event_value": Decimal("1249.50")}
    write([Hit(kind=Kind.EVENT, time=now - timedelta(minutes=1), **event, **common)])
    return affiliate


def path_of(mailing, reader):
    return report_url(mailing, f"recipients/site.subscriber/{quote(str(reader.pk))}/")


def test_the_list_of_recipients_leads_to_what_each_did(bought, readers, admin_client, settings):
    settings.TRACKING_CURRENCY = "€"
    html = text_of(admin_client.get(report_url(bought)))
    assert f'href="{path_of(bought, readers[0])}"' in html
    html = text_of(admin_client.get(path_of(bought, readers[0])))
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", html, re.DOTALL)
    texts = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert [text.split()[0] for text in texts] == ["Click", "Page", "Event"]
    assert texts[2].endswith("purchase 1,249.50 €")
    raw = admin_client.get(path_of(bought, readers[0])).content.decode()
    assert "<script>alert" not in raw
    assert "&lt;script&gt;alert" in raw


def test_pages_are_for_those_who_may_see_visitors(bought, readers, staff):
    html = text_of(staff("view_beacon").get(path_of(bought, readers[0])))
    assert "alert" not in html
    assert "purchase" in html
    assert "no permission to view visitors" in html
    html = text_of(staff("view_beacon", "view_visitor").get(path_of(bought, readers[0])))
    assert "alert" in html


def test_the_pages_that_recipients_saw(bought, admin_client):
    html = admin_client.get(report_url(bought)).content.decode()
    assert f'href="{report_url(bought, "pages/")}"' in html
    html = admin_client.get(report_url(bought, "pages/")).content.decode()
    assert "&lt;script&gt;alert" in html
    assert "<script>alert" not in html
    text = b"".join(admin_client.get(report_url(bought, "pages.csv"))).decode("utf-8-sig")
    assert text.splitlines()[1] == f"{NASTY},1,1"


def test_they_are_for_those_who_may_see_visitors(bought, staff):
    clerk = staff("view_beacon")
    for end in ("pages/", "pages.csv"):
        assert clerk.get(report_url(bought, end)).status_code == 403
    assert "pages/" not in clerk.get(report_url(bought)).content.decode()


def test_whoever_may_not_see_beacons_sees_nothing(bought, readers, staff):
    assert staff("view_visitor").get(path_of(bought, readers[0])).status_code == 403


def test_what_is_nothing_is_not_found(bought, readers, admin_client):
    for end in ("site.subscriber/_00/", "site.subscriber/7/", "no.model/7/", "site/7/"):
        assert admin_client.get(report_url(bought, f"recipients/{end}")).status_code == 404


def test_the_funnel_shows_goals_and_their_value(bought, admin_client, settings):
    settings.TRACKING_GOALS = {"<i>Purchase": "purchase"}
    settings.TRACKING_CURRENCY = "€"
    html = admin_client.get(report_url(bought)).content.decode()
    assert "&lt;i&gt;Purchase" in html
    html = text_of(admin_client.get(report_url(bought)))
    funnel = re.search(r'<ol class="tracking-funnel">.*?</ol>', html, re.DOTALL)[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", funnel).split())
    assert text.endswith("1 event 1,249.50 €")
    assert admin_client.get(report_url(bought, "goals.csv")).status_code == 200
