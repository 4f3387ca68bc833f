"""The entries Overview and Active visitors in the admin's index and sidebar."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.test import override_settings
from django.urls import path

from tests.support.admin_pages import text_of
from tracking.admin import BeaconAdmin, VisitorAdmin
from tracking.models import Beacon, Visitor

pytestmark = pytest.mark.django_db

OVERVIEW, ACTIVE = "/admin/tracking/overview/", "/admin/tracking/activevisitors/"


@pytest.fixture
def staff(client):
    def log_in(*codenames):
        user = get_user_model().objects.create_user("clerk", is_staff=True)
        allowed = Permission.objects.filter(
            codename__in=codenames, content_type__app_label="tracking"
        )
        assert len(allowed) == len(codenames)
        user.user_permissions.set(allowed)
        client.force_login(user)
        return client

    return log_in


class OtherSite(admin.AdminSite):
    """A site of its own, with a part of the app."""


both = OtherSite(name="both")
both.register(Beacon, BeaconAdmin)
both.register(Visitor, VisitorAdmin)
beacons_only = OtherSite(name="beacons")
beacons_only.register(Beacon, BeaconAdmin)
urlpatterns = [path("both/", both.urls), path("beacons/", beacons_only.urls)]


def entries(response, part="content-main"):
    """Return names and URLs of the entries of this app's group."""
    html = text_of(response)
    start = html.index('id="nav-sidebar"' if part == "nav-sidebar" else f'id="{part}"')
    group = re.search(r'<div class="app-tracking.*?</table>', html[start:], re.DOTALL)
    return re.findall(r'<th scope="row".*?<a href="(.*?)".*?>\s*(.*?)\s*</a>', group[0], re.DOTALL)


def test_index_and_sidebar_begin_with_overview_and_active_visitors(admin_client):
    first = [(OVERVIEW, "Overview"), (ACTIVE, "Active visitors")]
    for page in ("/admin/", "/admin/tracking/"):
        listed = entries(admin_client.get(page))
        assert listed[:2] == first
        assert listed[2][1] == "Banned IPs"
    for page in ("/admin/auth/user/", "/admin/tracking/beacon/", OVERVIEW, ACTIVE):
        assert entries(admin_client.get(page), "nav-sidebar")[:2] == first


def test_in_german_they_are_first_too(admin_client):
    with override_settings(LANGUAGE_CODE="de"):
        listed = entries(admin_client.get("/admin/"))
    assert listed[:2] == [(OVERVIEW, "Übersicht"), (ACTIVE, "Aktive Besucher")]


def test_the_sidebar_marks_the_page(admin_client):
    for page in (OVERVIEW, ACTIVE):
        current = re.findall(
            r'<a href="(.*?)" aria-current="page">', text_of(admin_client.get(page))
        )
        assert current == [page]


@pytest.mark.parametrize(
    ("codename", "shown"),
    [
        ("view_visitor", {OVERVIEW: 200, ACTIVE: 200}),
        ("view_beacon", {OVERVIEW: 200, ACTIVE: 403}),
        ("view_source", {OVERVIEW: 403, ACTIVE: 403}),
    ],
)
def test_only_who_may_see_a_page_finds_its_entry(staff, codename, shown):
    clerk = staff(codename)
    html = text_of(clerk.get("/admin/"))
    for url, status in shown.items():
        assert (f'href="{url}"' in html) == (status == 200)
        assert clerk.get(url).status_code == status


def test_who_is_not_logged_in_is_asked_to(client):
    for url in (OVERVIEW, ACTIVE):
        assert client.get(url).status_code == 302


@override_settings(ROOT_URLCONF=__name__)
def test_custom_admin_sites_have_entries_of_their_pages(admin_client):
    listed = entries(admin_client.get("/both/"))
    assert [url for url, _ in listed[:2]] == [
        "/both/tracking/overview/",
        "/both/tracking/activevisitors/",
    ]
    listed = entries(admin_client.get("/beacons/"))
    assert [url for url, _ in listed] == [
        "/beacons/tracking/overview/",
        "/beacons/tracking/beacon/",
    ]
    assert admin_client.get("/beacons/tracking/activevisitors/").status_code == 403


def test_they_are_no_models_of_the_app(admin_client):
    admin_client.get("/admin/")
    names = {"overview", "activevisitors"}
    assert names.isdisjoint(model._meta.model_name for model in apps.get_models())
    assert not ContentType.objects.filter(app_label="tracking", model__in=names).exists()
    assert not Permission.objects.filter(content_type__model__in=names).exists()
