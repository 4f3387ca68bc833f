"""The admin of targets and sources."""

import pytest

from tests.support.admin_pages import BEACONS, listed, record, text_of
from tracking.models import Source, Target

pytestmark = pytest.mark.django_db


def test_a_target_shows_its_short_link_and_its_beacons(admin_client, settings):
    settings.TRACKING_BASE_URL = "https://go.example.com"
    target = Target.objects.create(name="Shop", url="https://shop.example/")
    beacon = record(target=target)
    record()
    for url in ("/admin/tracking/target/", f"/admin/tracking/target/{target.pk}/change/"):
        html = text_of(admin_client.get(url))
        assert f"https://go.example.com/t/to/{target.pk}" in html
        assert f"/admin/tracking/beacon/?target=tracking.target%3A{target.pk}" in html
    response = admin_client.get(BEACONS, {"target": f"tracking.target:{target.pk}"})
    assert listed(response) == {beacon.pk}


def test_targets_and_sources_can_be_added(admin_client):
    assert "short link" in text_of(admin_client.get("/admin/tracking/target/add/")).lower()
    data = {"name": "Bad", "url": "javascript:alert(1)", "active": "on"}
    assert "not a valid destination" in text_of(
        admin_client.post("/admin/tracking/target/add/", data)
    )
    data["url"] = "https://shop.example/"
    admin_client.post("/admin/tracking/target/add/", data)
    assert Target.objects.get().is_live
    admin_client.post("/admin/tracking/source/add/", {"name": "News", "slug": "news"})
    source = Source.objects.get()
    assert "/t/from/news.gif" in text_of(
        admin_client.get(f"/admin/tracking/source/{source.pk}/change/")
    )
    assert "/t/from/news.gif" in text_of(admin_client.get("/admin/tracking/source/?q=news"))


def test_without_our_urls_the_admin_says_so(admin_client, settings):
    Target.objects.create(name="Shop", url="/")
    settings.ROOT_URLCONF = "tests.support.urls_of_admin_only"
    assert "Include tracking.urls" in text_of(admin_client.get("/admin/tracking/target/"))
