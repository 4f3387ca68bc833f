"""The middleware that keeps out banned addresses."""

import logging
import time

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import AsyncClient, RequestFactory

from tracking import bans
from tracking.caching import snapshots
from tracking.middleware import BannedIPMiddleware

TABLE = pytest.mark.django_db
BANNING = "tracking.middleware.BannedIPMiddleware"


@pytest.fixture(autouse=True)
def banning(settings):
    settings.MIDDLEWARE = [BANNING, *django_settings.MIDDLEWARE]


@TABLE
def test_who_is_banned_is_answered_with_a_short_page(client):
    bans.ban("127.0.0.0/8")
    response = client.get("/nowhere-at-all/")
    assert response.status_code == 403
    assert response["Cache-Control"] == "no-store"
    assert not response.has_header("Vary")
    assert not response.cookies
    html = response.content.decode()
    assert '<html lang="en-us">' in html
    assert "No access" in html
    for active in ("<script", "<style", "style=", "http"):
        assert active not in html
    assert client.head("/").status_code == 403
    assert client.post("/admin/login/").status_code == 403


@TABLE
def test_all_others_get_their_page(client):
    bans.ban("192.0.2.7")
    assert client.get("/page/1").status_code == 200
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="::ffff:192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="").status_code == 200


@TABLE
def test_a_header_neither_evades_nor_frames(client, settings):
    bans.ban("192.0.2.7")
    header = {"X-Forwarded-For": "192.0.2.7"}
    assert client.get("/page/1", headers=header).status_code == 200
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7", headers=header).status_code == 403
    settings.TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
    assert client.get("/page/1", headers=header).status_code == 403
    evading = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
    assert client.get("/page/1", headers=evading).status_code == 403


@TABLE
def test_masked_records_do_not_weaken_a_ban(client, settings):
    settings.TRACKING_ANONYMIZE_IP = True
    bans.ban("192.0.2.7")
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
    assert client.get("/page/1", REMOTE_ADDR="192.0.2.8").status_code == 200


@TABLE
def test_status_and_template_are_the_sites_own(client, settings):
    bans.ban("127.0.0.1")
    settings.TRACKING_BAN_STATUS = 451
    settings.TRACKING_BAN_TEMPLATE = "admin/404.html"
    response = client.get("/page/1")
    assert response.status_code == 451
    assert "Page not found" in response.content.decode()


@TABLE
@pytest.mark.parametrize(
    "wrong", [{"TRACKING_BAN_TEMPLATE": "missing.html"}, {"TRACKING_BAN_STATUS": "rubbish"}]
)
def test_a_wrong_setting_does_not_let_in(client, settings, wrong, caplog):
    bans.ban("127.0.0.1")
    for name, value in wrong.items():
        setattr(settings, name, value)
    response = client.get("/page/1")
    assert response.status_code == 403
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert "The answer to a banned client" in caplog.text


@pytest.mark.usefixtures("without_threads")
@pytest.mark.django_db(transaction=True)
def test_where_no_threads_run_a_request_costs_a_query_now_and_then(
    client, django_assert_num_queries
):
    poller = snapshots._process.poller
    with django_assert_num_queries(5):  # the tokens, the bans, the keywords, the ledger, its key
        client.get("/page/1")
    with django_assert_num_queries(0):
        for _ in range(10):
            assert client.get("/page/1").status_code == 200
            poller.next_at = max(poller.next_at, time.monotonic() + 1)
    poller.refresh_soon()
    with django_assert_num_queries(1):
        client.get("/page/1")
        client.get("/page/2")


@pytest.mark.django_db(transaction=True)
def test_under_asgi_it_is_the_same(settings):
    """No query in the event loop, where Django forbids them."""
    settings.TRACKING_TRUSTED_PROXIES = ["127.0.0.1"]
    bans.ban("192.0.2.7")
    asgi = AsyncClient()

    async def status(address):
        header = {"X-Forwarded-For": address}
        return (await asgi.get("/async-page/1", headers=header)).status_code

    assert async_to_sync(status)("192.0.2.7") == 403
    assert async_to_sync(status)("192.0.2.8") == 200
    bans.unban(["192.0.2.7"])
    assert async_to_sync(status)("192.0.2.7") == 200


def test_it_is_asynchronous_where_the_site_is():
    async def page(request):
        return HttpResponse("page")

    middleware = BannedIPMiddleware(page)
    response = async_to_sync(middleware)(RequestFactory().get("/"))
    assert response.content == b"page"


@pytest.mark.usefixtures("without_threads")
def test_a_database_that_is_away_leaves_the_site_open(client, caplog):
    # This test has no database at all.
    for _ in range(5):
        assert client.get("/page/1").status_code == 200
    [record] = [one for one in caplog.records if one.name.startswith("tracking")]
    assert record.levelno == logging.ERROR


@pytest.mark.usefixtures("without_threads")
@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_leaves_the_bans_in_force(client, caplog):
    def refuse(*args):
        raise OperationalError("away")

    bans.ban("192.0.2.7")
    client.get("/page/1")
    snapshots._process.poller.refresh_soon()
    with connection.execute_wrapper(refuse):
        for _ in range(5):
            assert client.get("/page/1", REMOTE_ADDR="192.0.2.7").status_code == 403
            assert client.get("/page/1").status_code == 200
    assert len([one for one in caplog.records if one.name == "tracking.caching.polling"]) == 1


def test_whatever_fails_in_it_the_page_is_served(client, monkeypatch, caplog):
    def fail(request):
        raise ZeroDivisionError

    monkeypatch.setattr("tracking.client_address.client_address", fail)
    assert client.get("/page/1").status_code == 200
    assert "Looking for a ban failed" in caplog.text
