"""The template tags that count visitors online."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, transaction
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone

from tracking.active_visitors import online_count
from tracking.caching import ttl
from tracking.db.column_values import storable_text
from tracking.models import Visitor

pytestmark = pytest.mark.django_db


def render(source, path="/tea/", **context):
    if path:
        context["request"] = RequestFactory().get("/")
        context["request"].path = path
    return Template("{% load tracking_tags %}" + source).render(Context(context))


ON_SITE = "{% visitors_on_site as n %}{{ n }}"
ON_PAGE = "{% visitors_on_page as n %}{{ n }}"


def visitor(url="/tea/", minutes=0, **values):
    moment = timezone.now() - timedelta(minutes=minutes)
    return Visitor.objects.create(url=url, last_update=moment, **values)


def test_visitors_on_site_and_on_page():
    visitor()
    visitor()
    visitor("/cart/")
    visitor(minutes=11)
    assert render(ON_SITE) == "3"
    assert render(ON_PAGE) == "2"
    assert render(ON_PAGE, "/cart/") == "1"
    assert render(ON_PAGE, "/empty/") == "0"
    assert render(ON_PAGE, path=None) == "0"


def test_machines_do_not_count():
    visitor(verdict="bot")
    assert render(ON_SITE) == "0"


def test_how_long_somebody_is_active_is_a_setting(settings):
    visitor(minutes=11)
    settings.TRACKING_TIMEOUT = 15
    assert render(ON_SITE) == "1"


def test_a_number_in_every_page_costs_no_query_each(django_assert_num_queries):
    visitor()
    render(ON_SITE + ON_PAGE)
    with django_assert_num_queries(0):
        assert [render(ON_SITE + ON_PAGE) for _ in range(3)] == ["11"] * 3


def test_a_number_is_asked_for_again_after_a_few_seconds(monkeypatch):
    visitor()
    assert render(ON_SITE) == "1"
    Visitor.objects.all().update(last_update=timezone.now() - timedelta(hours=1))
    assert render(ON_SITE) == "1"
    now = ttl.time.monotonic()
    monkeypatch.setattr(ttl.time, "monotonic", lambda: now + online_count.MAX_AGE)
    assert render(ON_SITE) == "0"


def test_what_is_remembered_is_not_without_end(monkeypatch):
    monkeypatch.setattr(ttl, "MAX_RESULTS", 3)
    for _ in range(10):
        with transaction.atomic():
            online_count.on_page("/tea/")
    assert len(online_count._cached_count) <= 3


@pytest.mark.parametrize("path", ["/a\0b/", "/" + "x" * 3_000])
def test_a_page_is_found_by_what_is_kept_of_its_path(path):
    visitor(storable_text(path))
    assert render(ON_PAGE, path) == "1"


def test_the_reader_of_the_first_page_is_here(settings):
    settings.MIDDLEWARE = [
        *django_settings.MIDDLEWARE,
        "tracking.middleware.VisitorTrackingMiddleware",
    ]
    assert Client().get("/counting/").content == b"1 1"


def test_a_page_does_not_break_where_nobody_can_be_counted(monkeypatch, caplog):
    def away():
        raise DatabaseError("away")

    monkeypatch.setattr(online_count, "on_site", away)
    assert render(ON_SITE) == "0"
    assert "Counting visitors failed" in caplog.text
