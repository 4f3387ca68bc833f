from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from tests.site.admin import AffiliateAdmin
from tests.site.models import Affiliate, Product, Subscriber
from tests.support.admin_pages import BEACONS, listed, record, text_of
from tracking.hits import Kind
from tracking.models import Beacon

pytestmark = pytest.mark.django_db


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
        html = text_of(admin_client.get(url))
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
        html = text_of(staff("view_beacon").get(url))
        assert "Anna" not in html
        assert f"site.affiliate {anna.pk}" in html
        assert "/admin/site/affiliate/" not in html
    staff("view_affiliate")
    for url in urls:
        assert "Anna" in text_of(staff().get(url))


def test_addresses_are_masked_for_who_may_not_see_them(staff):
    beacon = record(ip_address="192.0.2.77")
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        html = text_of(staff("view_beacon").get(url))
        assert "192.0.2.77" not in html
        assert "192.0.2.0" in html
    assert "192.0.2.77" in text_of(staff("view_full_address").get(BEACONS))


def test_masked_addresses_cannot_be_asked_for_one_by_one(staff):
    beacon = record(ip_address="192.0.2.77")
    client = staff("view_beacon")
    assert listed(client.get(BEACONS, {"q": "192.0.2.77"})) == set()
    for lookup in ("ip_address", "ip_address__startswith", "ip_address__lt"):
        assert client.get(BEACONS, {lookup: "192.0.2.77"}).status_code == 400
    staff("view_full_address")
    assert listed(client.get(BEACONS, {"q": "192.0.2.77"})) == {beacon.pk}
    assert listed(client.get(BEACONS, {"ip_address": "192.0.2.77"})) == {beacon.pk}


def test_a_row_that_its_own_list_hides_is_not_named(admin_client, monkeypatch):
    def without_hidden(self, request):
        return admin.ModelAdmin.get_queryset(self, request).exclude(name="hidden")

    monkeypatch.setattr(AffiliateAdmin, "get_queryset", without_hidden, raising=False)
    hidden, shown = (Affiliate.objects.create(name=name) for name in ("hidden", "shown"))
    for affiliate in (hidden, shown):
        record(source=affiliate)
    for query in ({}, {"source": f"site.affiliate:{hidden.pk}"}):
        html = text_of(admin_client.get(BEACONS, query))
        assert ">hidden<" not in html
        assert f"site.affiliate {hidden.pk}" in html
        assert "shown" in html
    assert 'title="Deleted"' not in text_of(admin_client.get(BEACONS))


def test_without_permission_nothing_shows(staff):
    assert staff().get(BEACONS).status_code == 403


def test_a_beacon_is_a_fact(admin_client):
    beacon = record()
    assert admin_client.get(f"{BEACONS}add/").status_code == 403
    assert admin_client.post(f"{BEACONS}{beacon.pk}/change/", {"kind": "click"}).status_code == 403
    assert 'name="_save"' not in text_of(admin_client.get(f"{BEACONS}{beacon.pk}/change/"))
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
        html = text_of(admin_client.get(url))
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


def test_a_site_without_time_zones_has_an_admin(admin_client, settings):
    settings.USE_TZ = False
    beacon = record()
    for url in (BEACONS, f"{BEACONS}{beacon.pk}/change/"):
        text_of(admin_client.get(url))


def test_time_is_relative_and_exact_on_hover(admin_client):
    record(time=timezone.now() - timedelta(minutes=5, seconds=3))
    html = text_of(admin_client.get(BEACONS)).replace("\xa0", " ")
    assert "5 minutes ago" in html
    assert 'title="' in html
