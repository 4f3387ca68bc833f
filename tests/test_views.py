"""Pixels and redirects: the response, and what is recorded."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import InterfaceError, OperationalError, connection, connections
from django.http import HttpResponseRedirect
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import Resolver404, resolve, reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pytest_django.asserts import assertRedirects

from tests.site.models import Affiliate, Offer, Product, Subscriber
from tracking import TrackingPixel, links, tokens, views
from tracking.hits import Reference
from tracking.models import Beacon, Source, Target
from tracking.views import GIF

pytestmark = pytest.mark.django_db

SHOP = "https://shop.example/a?b=1&c=2|3#d"


def pixel_path(*args, **kwargs):
    return reverse("tracking:pixel", args=[tokens.dumps(args, kwargs, salt=tokens.PIXEL)])


def link_path(url=SHOP, *args, **payload):
    kwargs = payload.pop("kwargs", {})
    token = tokens.dumps(args, kwargs, salt=tokens.REDIRECT, url=url, **payload)
    return reverse("tracking:redirect", args=[token])


def assert_is_pixel(response, status=200):
    assert response.status_code == status
    assert response.content == GIF
    assert response["Content-Type"] == "image/gif"
    assert response["Content-Length"] == "43"


class Notebook(TrackingPixel):
    seen: list = []

    def record(self, request, *args, **kwargs):
        self.seen.append((args, kwargs))


@pytest.fixture
def notebook(callbacks):
    Notebook.seen = []
    callbacks.register(Notebook)
    return Notebook.seen


# The pixel.


def test_the_pixel_is_a_transparent_gif_of_43_bytes():
    assert len(GIF) == 43
    assert GIF[:6] == b"GIF89a"
    assert GIF[6:10] == b"\1\0\1\0"
    assert GIF[-1:] == b";"


def test_a_pixel_records_an_open_and_calls_the_callbacks(client, notebook):
    path = pixel_path("one", 2, campaign="spring")
    response = client.get(
        path, headers={"User-Agent": "Mail/1", "Referer": "https://webmail.example/"}
    )
    assert_is_pixel(response)
    beacon = Beacon.objects.get()
    assert beacon.kind == "open"
    assert beacon.data == {"args": ["one", 2], "campaign": "spring"}
    assert (beacon.ip_address, beacon.user_agent) == ("127.0.0.1", "Mail/1")
    assert (beacon.referrer, beacon.url) == ("https://webmail.example/", "")
    assert notebook == [(("one", 2), {"campaign": "spring"})]


def test_a_pixel_is_never_cached_sets_no_cookie_and_loads_from_any_origin(client):
    client.force_login(_user())
    response = client.get(pixel_path())
    assert response["Cache-Control"] == "no-store"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Vary" not in response
    assert not response.cookies


def test_a_redirect_is_never_cached_and_keeps_where_the_reader_comes_from(client):
    response = client.get(link_path())
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert "Vary" not in response
    assert not response.cookies


def _user():
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_superuser("boss")


def test_each_look_is_an_open_of_its_own(client):
    path = pixel_path()
    for _ in range(3):
        client.get(path)
    assert Beacon.objects.opens().count() == 3


def test_a_pixel_is_tied_to_its_objects(client):
    affiliate, subscriber = Affiliate.objects.create(), Subscriber.objects.create()
    product = Product.objects.create(sku="tea")
    client.get(links.pixel_url(source=affiliate, entity=subscriber, target=product))
    beacon = Beacon.objects.get()
    assert (beacon.source, beacon.entity, beacon.target) == (affiliate, subscriber, product)
    assert beacon.data == {}


# The redirect.


def test_a_redirect_records_a_click_and_leads_there_byte_for_byte(client, notebook):
    response = client.get(link_path(SHOP, 7, kwargs={"campaign": "spring"}))
    assert (response.status_code, response["Location"]) == (302, SHOP)
    beacon = Beacon.objects.get()
    assert (beacon.kind, beacon.url) == ("click", SHOP)
    assert beacon.data == {"args": [7], "campaign": "spring"}
    assert notebook == [((7,), {"campaign": "spring"})]


def test_a_redirect_without_url_leads_where_its_target_says_now(client):
    offer = Offer.objects.create(url="https://shop.example/old")
    path = link_path(None, target=Reference.to(offer))
    Offer.objects.update(url="https://shop.example/new")
    assert client.get(path)["Location"] == "https://shop.example/new"
    beacon = Beacon.objects.get()
    assert (beacon.target, beacon.url) == (offer, "https://shop.example/new")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example/", "ftp://a.example/", ""])
def test_not_even_an_authentic_token_leads_outside_of_http(client, url):
    assert client.get(link_path(url)).status_code == 404
    assert not Beacon.objects.exists()


def test_the_destination_never_comes_from_the_query(client):
    response = client.get(link_path() + "?url=https://evil.example/&next=https://evil.example/")
    assert response["Location"] == SHOP


def test_a_redirect_is_a_redirect_of_django(client):
    response = client.get(link_path(SHOP))
    assert isinstance(response, HttpResponseRedirect)
    assert response.url == SHOP
    assertRedirects(response, SHOP, fetch_redirect_response=False)
    followed = client.get(link_path("/page/tea"), follow=True)
    assert followed.redirect_chain == [("/page/tea", 302)]
    assert followed.content == b"<p>3"


@pytest.mark.parametrize(
    "url", ["https://a.example/a|b?c=%zz&d={e}", "/" + "x" * 2500, "https://a.example/[1]"]
)
def test_a_redirect_sends_what_django_would_encode_or_refuse(client, url):
    response = client.get(link_path(url))
    assert (response.status_code, response.url, response["Location"]) == (302, url, url)


@pytest.mark.parametrize("added", ["/", ".", ")", "%20", ").", "/)", "./", "%20/", ",", '"', ">"])
def test_what_a_mail_program_adds_to_the_end_changes_nothing(client, added):
    assert client.get(link_path(SHOP) + added)["Location"] == SHOP
    assert_is_pixel(client.get(pixel_path() + added))
    target, source = Target.objects.create(name="T", url=SHOP), Source.objects.create(slug="s")
    for path in (f"/t/to/{target.pk}", f"/t/to/{target.pk}/{source.slug}"):
        assert client.get(path + added)["Location"] == SHOP
    assert_is_pixel(client.get(f"/t/from/{source.slug}.gif{added}"))
    kinds = ["click", "open", "click", "click", "open"]
    assert list(Beacon.objects.order_by("id").values_list("kind", flat=True)) == kinds


def test_a_word_and_a_slash_is_no_link():
    for path in ("/t/about/", "/t/health/", "/t/x/y"):
        with pytest.raises(Resolver404):
            resolve(path)


# What does not count.


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Purpose": "prefetch"},
        {"X-Purpose": "preview"},
        {"X-Moz": "prefetch"},
    ],
)
def test_prefetch_and_preview_are_answered_as_usual_and_not_counted(client, notebook, headers):
    assert_is_pixel(client.get(pixel_path(), headers=headers))
    assert client.get(link_path(), headers=headers)["Location"] == SHOP
    assert not Beacon.objects.exists()
    assert notebook == []


def test_head_is_answered_as_usual_and_not_counted(client, notebook):
    for path in (pixel_path(), link_path()):
        head, get = client.head(path), client.get(path)
        assert head.status_code == get.status_code
        assert head.headers == get.headers
        assert head.content == b""
    assert Beacon.objects.count() == len(notebook) == 2  # by the two GETs


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused_but_a_pixel_is_still_a_pixel(method, notebook):
    client = Client(enforce_csrf_checks=True)
    pixel = client.generic(method, pixel_path())
    assert_is_pixel(pixel, status=405)
    redirect = client.generic(method, link_path())
    assert redirect.status_code == 405
    assert {pixel["Allow"], redirect["Allow"]} == {"GET, HEAD"}
    assert not Beacon.objects.exists()
    assert notebook == []


# Forged, foreign, expired, revoked.


def test_a_forged_token_gets_the_gif_and_records_nothing(client, notebook):
    path = pixel_path()
    for forged in (path[:-5] + ".gif", path[:-6] + "A.gif", "/t/x.gif", "/t/%00%ff.gif"):
        assert_is_pixel(client.get(forged))
    assert not Beacon.objects.exists()
    assert notebook == []


def test_a_forged_link_leads_nowhere(client, notebook):
    path = link_path()
    for forged in (path[:-1], path + "A", "/t/x", "/t/" + "A" * 8192):
        assert client.get(forged).status_code == 404
    assert notebook == []


def test_tokens_do_not_change_their_purpose(client):
    link = link_path().removeprefix("/t/")
    assert_is_pixel(client.get(f"/t/{link}.gif"))
    pixel = pixel_path().removeprefix("/t/").removesuffix(".gif")
    assert client.get(f"/t/{pixel}").status_code == 404
    assert not Beacon.objects.exists()


def test_an_expired_token_still_leads_there_uncounted(client, settings, notebook):
    settings.TRACKING_TOKEN_MAX_AGE = 60
    old = datetime.now(UTC) - timedelta(seconds=120)
    assert client.get(link_path(issued_at=old))["Location"] == SHOP
    token = tokens.dumps([], {}, salt=tokens.PIXEL, issued_at=old)
    assert_is_pixel(client.get(reverse("tracking:pixel", args=[token])))
    assert not Beacon.objects.exists()
    assert notebook == []


def test_what_was_sent_before_there_was_an_age_limit_still_counts(client, settings):
    path = pixel_path()
    settings.TRACKING_TOKEN_MAX_AGE = 60
    client.get(path)
    client.get(links.pixel_url())
    assert Beacon.objects.count() == 2


@pytest.mark.parametrize(
    "change", [{"active": False}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "delete"]
)
def test_a_revoked_target_still_leads_there_uncounted(client, change):
    target = Target.objects.create(name="Shop", url="https://shop.example/")
    path = link_path(SHOP, target=Reference.to(target))
    client.get(path)
    if change == "delete":
        target.delete()
    else:
        Target.objects.update(**change)
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, SHOP)
    assert Beacon.objects.count() == 1


def test_a_link_without_url_to_a_target_that_is_gone_leads_nowhere(client):
    offer = Offer.objects.create(url=SHOP)
    gone = link_path(None, target=Reference.to(offer))
    offer.delete()
    assert client.get(gone).status_code == 404
    assert client.get(link_path(None, target=Reference("no.model", "1"))).status_code == 404
    assert client.get(link_path(None, target=Reference("site.offer", "x"))).status_code == 404
    assert client.get(link_path(None)).status_code == 404


# Callbacks.


def test_one_failing_record_is_no_500_and_skips_neither_callbacks_nor_recording(
    client, callbacks, caplog
):
    class Failing(TrackingPixel):
        def record(self, request, *args, **kwargs):
            raise RuntimeError("not today")

    Notebook.seen = []
    callbacks.register(Failing)
    callbacks.register(Notebook)
    assert_is_pixel(client.get(pixel_path()))
    assert client.get(link_path()).status_code == 302
    assert len(Notebook.seen) == Beacon.objects.count() == 2
    assert "Failing failed" in caplog.text


def test_a_callback_that_breaks_the_transaction_does_not_take_the_beacon_along(client, callbacks):
    class Poisonous(TrackingPixel):
        def record(self, request, *args, **kwargs):
            Product.objects.create(sku="twice")
            Product.objects.create(sku="twice")

    callbacks.register(Poisonous)
    assert_is_pixel(client.get(pixel_path()))
    assert Beacon.objects.count() == 1


def test_a_keyword_called_request_is_no_500(client, notebook):
    assert_is_pixel(client.get(pixel_path("x", request="r", self="s", args="a")))
    assert notebook == [(("x",), {"request_": "r", "self_": "s", "args": "a"})]
    assert Beacon.objects.get().data == {
        "args": ["x"],
        "args_": "a",
        "request": "r",
        "self": "s",
    }


# A database that is full, locked or gone.


def test_a_database_that_refuses_costs_the_reader_nothing(client, notebook, caplog):
    target = Target.objects.create(name="Shop", url=SHOP)
    offer = Offer.objects.create(url=SHOP)
    paths = link_path(), link_path(SHOP, target=Reference.to(target))
    only_in_the_database = link_path(None, target=Reference.to(offer))

    def refuse(execute, sql, params, many, context):
        raise OperationalError("database or disk is full")

    with connection.execute_wrapper(refuse), caplog.at_level(logging.ERROR, "tracking"):
        assert_is_pixel(client.get(pixel_path()))
        for path in paths:
            response = client.get(path)
            assert (response.status_code, response["Location"]) == (302, SHOP)
        assert client.get(only_in_the_database).status_code == 404
    assert "disk is full" in caplog.text
    assert "failed" in caplog.text


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="locks the file of an SQLite database")
def test_a_locked_database_costs_the_reader_nothing(tmp_path, client, caplog):
    file = tmp_path / "locked.sqlite3"

    def write(hits):
        with closing(sqlite3.connect(file, timeout=0.05)) as ours:
            ours.execute("CREATE TABLE beacon (id)")

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with mock.patch("tracking.recording.write", write):
            assert_is_pixel(client.get(pixel_path()))
            assert client.get(link_path()).status_code == 302
    assert caplog.text.count("database is locked") >= 2


def test_a_setting_that_is_wrong_costs_the_reader_nothing(client, settings, caplog):
    path, link = pixel_path(), link_path()
    settings.TRACKING_BACKEND = "tracking.nowhere.Backend"
    assert_is_pixel(client.get(path))
    assert client.get(link).status_code == 302
    settings.TRACKING_SECRET_KEYS = [""]
    assert_is_pixel(client.get(path))
    assert client.get(link).status_code == 404
    assert "is empty" in caplog.text


def test_a_connection_that_is_closed_is_no_500(client, caplog):
    """``InterfaceError`` is an error of the database that is no ``DatabaseError``."""
    target = Target.objects.create(name="Shop", url=SHOP)
    offer = Offer.objects.create(url=SHOP)

    def refuse(*args):
        raise InterfaceError("connection already closed")

    with connection.execute_wrapper(refuse):
        assert_is_pixel(client.get(pixel_path()))
        assert client.get(link_path())["Location"] == SHOP
        assert client.get(link_path(SHOP, target=Reference.to(target)))["Location"] == SHOP
        for path in (f"/t/to/{target.pk}", f"/offer/{offer.pk}"):
            assert client.get(path).status_code == 404
        assert_is_pixel(client.get("/t/from/news.gif"))


def test_the_views_take_no_part_in_the_transactions_of_any_database():
    for view in (views.pixel, views.redirect, views.trigger, views.target, views.source):
        assert view._non_atomic_requests >= set(connections)


def test_a_log_line_is_one_line(client, caplog):
    with caplog.at_level(logging.DEBUG, "tracking"):
        client.get("/offer/1%0aERROR forged")
        client.get("/open/1%0aERROR.gif")
    assert caplog.records
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("tracking")]
    assert len(ours) == 2
    assert not [line for line in ours if "\n" in line]


# Cost.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make_path", [pixel_path, link_path])
def test_a_hit_costs_one_insert_and_its_transaction(client, make_path):
    path = make_path()
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    statements = [query["sql"].split()[0].upper() for query in queries]
    assert statements.count("INSERT") == 1
    assert set(statements) <= {"BEGIN", "INSERT", "COMMIT"}


@pytest.mark.django_db(transaction=True)
def test_a_hit_tied_to_objects_costs_no_more(client):
    affiliate, subscriber = Affiliate.objects.create(), Subscriber.objects.create()
    path = links.pixel_url(source=affiliate, entity=subscriber)
    client.get(path)  # the content types are looked up once per process
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    assert sum(query["sql"].startswith("SELECT") for query in queries) == 0
    assert Beacon.objects.for_entity(subscriber).count() == 2
    ContentType.objects.clear_cache()


@pytest.mark.django_db(transaction=True)
def test_a_beacon_outlives_a_request_that_is_one_transaction(settings, client, callbacks):
    """``ATOMIC_REQUESTS`` rolls back the site's work, not ours, and ours does not poison it."""

    in_a_transaction = []

    class Poisonous(TrackingPixel):
        def record(self, request, *args, **kwargs):
            in_a_transaction.append(connection.in_atomic_block)
            Product.objects.create(sku="twice")
            Product.objects.create(sku="twice")

    callbacks.register(Poisonous)
    with mock.patch.dict(connection.settings_dict, ATOMIC_REQUESTS=True):
        assert_is_pixel(client.get(pixel_path()))
        assert client.get(link_path()).status_code == 302
    assert in_a_transaction == [False, False]
    assert Beacon.objects.count() == 2


# Under ASGI.


@pytest.mark.django_db(transaction=True)
def test_works_under_asgi():
    from asgiref.sync import async_to_sync

    async def visit():
        client = AsyncClient()
        pixel = await client.get(pixel_path("a"), headers={"User-Agent": "Größe"})
        link = await client.get(link_path())
        return pixel, link

    pixel, link = async_to_sync(visit)()
    assert_is_pixel(pixel)
    assert link["Location"] == SHOP
    assert set(Beacon.objects.values_list("kind", flat=True)) == {"open", "click"}


# Whatever comes.


paths = st.one_of(
    st.text(max_size=80),
    st.text(max_size=40).map(lambda text: text + ".gif"),
    st.text(max_size=20).map(lambda text: f"to/1/{text}"),
    st.text(max_size=20).map(lambda text: f"from/{text}.gif"),
    st.integers(0, 2**80).map(lambda number: f"to/{number}"),
)
header_values = st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=paths,
    query=st.text(max_size=20),
    agent=header_values,
    referrer=header_values,
    address=st.text(max_size=20),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]),
)
@example("x" * 8192 + ".gif", "", "", "", "", "GET")
@example("\0.gif", "", "\0", "\0", "\0", "GET")
def test_no_input_makes_a_5xx(path, query, agent, referrer, address, method):
    from urllib.parse import quote

    client = Client(raise_request_exception=False)
    response = client.generic(
        method,
        "/t/" + quote(path.encode("utf-8", "surrogatepass")),
        QUERY_STRING=quote(query.encode("utf-8", "surrogatepass")),
        HTTP_USER_AGENT=agent,
        HTTP_REFERER=referrer,
        REMOTE_ADDR=address,
    )
    assert response.status_code in {200, 301, 404, 405}
    assert not Beacon.objects.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(agent=header_values, referrer=header_values, address=st.text(max_size=20))
def test_no_header_keeps_an_authentic_hit_from_being_recorded(agent, referrer, address):
    Beacon.objects.all().delete()
    client = Client(raise_request_exception=False)
    environ = {"HTTP_USER_AGENT": agent, "HTTP_REFERER": referrer, "REMOTE_ADDR": address}
    assert_is_pixel(client.get(pixel_path("a"), **environ))
    assert client.get(link_path(), **environ).status_code == 302
    assert Beacon.objects.count() == 2
