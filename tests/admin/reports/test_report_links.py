"""Links to reports on the site's own admin pages, and columns of opens and clicks."""

import json
import re

import pytest
from django.contrib import admin
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.site.admin import AffiliateAdmin
from tests.site.models import Affiliate
from tests.support.admin_pages import text_of
from tests.support.mailings import hit, report_url
from tracking.admin import TrackingAdminMixin
from tracking.hits import Kind
from tracking.models import Beacon, Source, Target
from tracking.recording import write

pytestmark = pytest.mark.django_db


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_of_a_source_links_to_its_report(mailing, admin_client, staff):
    change = f"/admin/site/affiliate/{mailing.pk}/change/"
    assert f'href="{report_url(mailing)}"' in text_of(admin_client.get(change))
    assert "/admin/tracking/beacon/report/" not in text_of(
        admin_client.get("/admin/site/affiliate/add/")
    )
    html = text_of(staff("view_affiliate").get(change))
    assert "/report/" not in html
    source = Source.objects.create(name="News", slug="news")
    html = text_of(admin_client.get(f"/admin/tracking/source/{source.pk}/change/"))
    assert f'href="{report_url(source)}"' in html
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
    assert "tracking/tracking.css" in html  # that is what the template adds
    assert report_url(mailing) in html


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
    assert "Leaf Letter 3 4 opens 1 2 clicks" in text
    assert "Quiet 0 0" in text
    html = text_of(staff("view_affiliate").get("/admin/site/affiliate/"))
    assert "3 opens" not in html
    assert "Opened" not in html


def test_a_list_with_columns_can_be_edited(mailing, admin_client, monkeypatch):
    monkeypatch.setattr(AffiliateAdmin, "list_display", ("id", "name", "tracking_opens"))
    monkeypatch.setattr(AffiliateAdmin, "list_editable", ("name",))
    html = text_of(admin_client.get("/admin/site/affiliate/"))
    assert 'name="form-0-name"' in html
    assert "4 opens" in html
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


def test_counts_are_those_of_the_report(mailing, admin_client):
    assert AffiliateAdmin.tracking_role == "source"
    report = json.loads(admin_client.get(report_url(mailing, "report.json")).content)
    text = plain(text_of(admin_client.get("/admin/site/affiliate/")))
    opened, clicked = report["opened"], report["clicked"]
    assert (
        f"{opened['unique']} {opened['total']} opens {clicked['unique']} {clicked['total']} clicks"
    ) in text
    assert Beacon.objects.filter(kind=Kind.OPEN).count() > opened["total"]
