"""Events that the site reports: ``tracking.record()``."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from hypothesis import given
from hypothesis import strategies as st

import tracking
from tests.site.models import Affiliate, Subscriber
from tests.support.brute_force import AGENTS
from tracking import events
from tracking.backends import get_backend
from tracking.hits import from_dict
from tracking.identity.request_info import RequestInfo
from tracking.models import Beacon, Source, UntrackedUserAgent
from tracking.pipeline.spool import decode_hit, encode_hit

AGENT = AGENTS[0]
MIDDLEWARE = ["tracking.middleware.VisitorTrackingMiddleware"]


def post(**meta):
    request = RequestFactory(HTTP_USER_AGENT=AGENT).post("/pay/", **meta)
    RequestInfo.track_visitor(request)
    return request


@pytest.fixture
def in_memory(settings):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    return get_backend()


def test_it_is_importable_before_the_apps_are_ready():
    code = "import tracking; from tracking import record, arecord; print(record is tracking.record)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "True\n"


@pytest.mark.django_db
def test_an_event_becomes_a_beacon():
    reader = Subscriber.objects.create(email="anna@mail.example")
    source = Source.objects.create(name="Spring", slug="spring")
    tracking.record(
        "purchase",
        post(),
        entity=reader,
        source=source,
        value=49.9,
        order="A-1",
        parts=[{"a": 2}],
    )
    [row] = Beacon.objects.events("purchase")
    assert (row.entity, row.source, row.event_value) == (reader, source, Decimal("49.90"))
    assert row.data == {"order": "A-1", "parts": [{"a": 2}]}
    assert (row.user_agent, row.ip_address, row.verdict) == (AGENT, "127.0.0.1", "human")
    assert len(row.visitor_id) == 22


@pytest.mark.django_db
def test_an_event_without_a_request_is_one_of_a_person():
    tracking.record("renewal")
    [row] = Beacon.objects.events()
    assert (row.event_name, row.event_value, row.verdict) == ("renewal", None, "human")
    assert (row.visitor_id, row.ip_address, row.user_agent) == (None, None, "")


def test_hits_of_events_come_back_from_disks_and_brokers(in_memory):
    tracking.record("purchase", value=Decimal("1.10"))
    [hit] = in_memory.hits
    assert decode_hit(encode_hit(hit)) == hit
    assert from_dict(hit.as_dict()) == hit
    earlier = {key: item for key, item in hit.as_dict().items() if not key.startswith("event")}
    assert from_dict(earlier).event_name == ""


# Arguments.


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0, "0.00"),
        (-7, "-7.00"),
        (0.285, "0.28"),
        (0.1 + 0.2, "0.30"),
        (Decimal("1e-9"), "0.00"),
        (9_999_999_999.99, "9999999999.99"),
        (Decimal("12.345"), "12.34"),
    ],
)
def test_values_have_two_decimals(in_memory, value, stored):
    tracking.record("purchase", value=value)
    assert str(in_memory.hits[0].event_value) == stored


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"name": 7}, TypeError),
        ({"name": b"purchase"}, TypeError),
        ({"name": ""}, ValueError),
        ({"name": " a"}, ValueError),
        ({"name": "a\0"}, ValueError),
        ({"name": "a\n"}, ValueError),
        ({"name": "/welcome/"}, ValueError),
        ({"name": "a" * 101}, ValueError),
        ({"request": "GET /"}, TypeError),
        ({"entity": "anna"}, TypeError),
        ({"entity": Subscriber(pk=None)}, ValueError),
        ({"source": 7}, TypeError),
        ({"value": "49.90"}, TypeError),
        ({"value": True}, TypeError),
        ({"value": 1j}, TypeError),
        ({"value": float("nan")}, ValueError),
        ({"value": float("-inf")}, ValueError),
        ({"value": Decimal("sNaN")}, ValueError),
        ({"value": 10**10}, ValueError),
        ({"value": -(10**5_000)}, ValueError),
        ({"a": object()}, TypeError),
        ({"a": {1, 2}}, TypeError),
        ({"a": float("nan")}, ValueError),
        ({"a": ["x" * 500] * 20}, ValueError),
        ({"a": {(1, 2): 3}}, TypeError),
    ],
)
def test_wrong_arguments_are_clear_in_tests_and_one_line_in_production(
    in_memory, monkeypatch, caplog, arguments, error
):
    arguments = {"name": "purchase", **arguments}
    with pytest.raises(error):
        tracking.record(**arguments)
    with pytest.raises(error):
        asyncio.run(tracking.arecord(**arguments))
    monkeypatch.setattr(events.compat, "is_test_environment", lambda: False)
    tracking.record(**arguments)
    [line] = caplog.records
    assert line.levelname == "ERROR"
    assert line.exc_info is None
    assert "\n" not in line.getMessage()
    assert in_memory.hits == []


def test_data_that_contain_themselves_are_refused(in_memory):
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contain themselves"):
        tracking.record("purchase", loop=loop)


def test_long_texts_of_strangers_are_cut(in_memory):
    tracking.record("search", query="x" * 100_000, deep=["\udc80\0" * 1_000], **{"k" * 600: 1})
    data = in_memory.hits[0].data
    assert data["query"] == "x" * 512
    assert data["deep"] == ["?\ufffd" * 256]
    assert data["k" * 512] == 1


texts = st.text(max_size=2_000)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.django_db
@given(data=st.dictionaries(texts.filter(lambda name: name not in {"name", "request"}), anything))
def test_whatever_a_stranger_sends_is_written_or_refused(data):
    Beacon.objects.all().delete()
    data = {key: item for key, item in data.items() if key not in {"entity", "source", "value"}}
    try:
        tracking.record("search", **data)
    except ValueError:
        return
    assert Beacon.objects.events("search").count() == 1


def test_data_are_those_at_the_time_of_the_call(in_memory):
    basket = ["tea"]
    tracking.record("purchase", basket=basket)
    basket.append("cups")
    assert in_memory.hits[0].data == {"basket": ["tea"]}


# Requests.


@pytest.mark.django_db
class TestRequests:
    @pytest.mark.parametrize("header", ["HTTP_DNT", "HTTP_SEC_GPC"])
    def test_of_a_reader_who_opts_out_nothing_is_kept_but_the_event(self, in_memory, header):
        tracking.record("purchase", post(**{header: "1"}), value=5)
        [hit] = in_memory.hits
        assert (hit.event_name, hit.event_value) == ("purchase", Decimal("5.00"))
        assert (hit.visitor, hit.ip_address, hit.user_agent, hit.referrer) == (None, None, "", "")

    @pytest.mark.parametrize(("answer", "is_tied"), [(True, True), (None, True), (False, False)])
    def test_consent_is_asked(self, settings, in_memory, answer, is_tied):
        settings.TRACKING_CONSENT = lambda request: answer
        tracking.record("purchase", post())
        assert bool(in_memory.hits[0].visitor) == is_tied

    def test_consent_that_the_page_changes_later_is_not_spoiled(self, settings, in_memory):
        settings.TRACKING_CONSENT = lambda request: getattr(request, "agrees", False)
        request = post()
        tracking.record("purchase", request)
        request.agrees = True
        assert RequestInfo.of(request).visitor_key

    def test_machines_report_nothing(self, in_memory):
        UntrackedUserAgent.objects.create(keyword="monitor")
        tracking.record("purchase", RequestFactory().head("/"))
        early = RequestFactory(HTTP_SEC_PURPOSE="prefetch;prerender").get("/")
        tracking.record("purchase", early)
        tracking.record("purchase", post(HTTP_USER_AGENT="Our Monitor"))
        assert in_memory.hits == []

    def test_a_request_that_is_not_tracked_has_no_visitor(self, in_memory):
        tracking.record("purchase", RequestFactory(HTTP_USER_AGENT=AGENT).get("/"))
        assert (in_memory.hits[0].visitor, in_memory.hits[0].user_agent) == (None, AGENT)

    def test_a_backend_that_fails_is_logged(self, settings, monkeypatch, caplog):
        monkeypatch.setattr(type(get_backend()), "send_in_savepoints", lambda *_: 1 / 0)
        tracking.record("purchase", post())
        [line] = caplog.records
        assert "Recording of event purchase failed" in line.getMessage()

    def test_code_of_the_site_that_fails_is_logged(self, settings, in_memory, caplog):
        settings.TRACKING_CONSENT = lambda request: 1 / 0
        tracking.record("purchase", post(), value=1)
        assert in_memory.hits[0].visitor is None


# Transactions.


def pay(request):
    tracking.record("purchase", request, value=1)
    if "fail" in request.GET:
        raise RuntimeError
    return HttpResponse("<p>Thanks")


async def pay_later(request):
    tracking.record("purchase", request, value=1)
    await tracking.arecord("payment", request, value=1)
    return HttpResponse("<p>Thanks")


urlpatterns = [path("pay/", pay), path("pay-later/", pay_later)]


@pytest.fixture
def shop(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = MIDDLEWARE
    return Client(HTTP_USER_AGENT=AGENT, raise_request_exception=False)


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_an_event_waits_for_the_commit(self):
        with transaction.atomic():
            with transaction.atomic():
                tracking.record("purchase")
            assert not Beacon.objects.exists()
        assert Beacon.objects.events().count() == 1

    def test_what_is_rolled_back_has_not_happened(self):
        with transaction.atomic():
            tracking.record("purchase")
            transaction.set_rollback(True)
        with transaction.atomic():
            with transaction.atomic():
                tracking.record("purchase")
                transaction.set_rollback(True)
            tracking.record("visit")
        assert [row.event_name for row in Beacon.objects.all()] == ["visit"]

    def test_within_atomic_requests(self, shop, monkeypatch):
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        assert shop.post("/pay/").status_code == 200
        assert shop.post("/pay/?fail=1").status_code == 500
        assert Beacon.objects.events().count() == 1

    def test_an_event_that_cannot_be_written_breaks_nothing(self, monkeypatch, caplog):
        with transaction.atomic():
            tracking.record("purchase")
            tracking.record("visit")
            backend = type(get_backend())
            write = backend.send_in_savepoints

            def fail_once(self, hit):
                monkeypatch.setattr(backend, "send_in_savepoints", write)
                raise RuntimeError

            monkeypatch.setattr(backend, "send_in_savepoints", fail_once)
            Affiliate.objects.create(name="A")
        assert Affiliate.objects.count() == 1
        assert [row.event_name for row in Beacon.objects.all()] == ["visit"]

    def test_in_an_event_loop(self, settings):
        settings.ROOT_URLCONF = __name__
        settings.MIDDLEWARE = MIDDLEWARE

        async def use():
            response = await AsyncClient(headers={"user-agent": AGENT}).post("/pay-later/")
            assert response.status_code == 200
            while events._tasks:
                await asyncio.gather(*events._tasks)
            return await sync_to_async(read_and_close)()

        def read_and_close():
            rows = list(Beacon.objects.events().order_by("event_name"))
            connection.close()  # that of the thread of the loop
            return rows

        rows = asyncio.run(use())
        assert [row.event_name for row in rows] == ["payment", "purchase"]
        assert len({row.visitor_id for row in rows}) == 1
        assert rows[0].visitor_id


@pytest.mark.django_db
def test_in_a_test_of_a_site_events_are_recorded_at_once():
    tracking.record("purchase")
    assert Beacon.objects.events().count() == 1
    with transaction.atomic():
        tracking.record("purchase")
        assert Beacon.objects.events().count() == 2
        transaction.set_rollback(True)
    assert Beacon.objects.events().count() == 1
