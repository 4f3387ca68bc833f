"""The admin pages of endpoints."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.support.admin_pages import text_of
from tracking.admin.webhooks import endpoints as pages
from tracking.models import WebhookEndpoint
from tracking.models.webhooks import Failure
from tracking.webhooks import add_endpoint, event_types
from tracking.webhooks.http_post import Answer

pytestmark = pytest.mark.django_db

LIST = "/admin/tracking/webhookendpoint/"
FORM = {"url": "https://crm.example.com/hooks", "types": ["beacon.open"], "active": "on"}
ALL = [f"{name}_webhookendpoint" for name in ("add", "view", "change", "delete")]


def change(client, endpoint, **data):
    values = {"url": endpoint.url, "types": endpoint.types, "sources": "", "active": "on", **data}
    return client.post(f"{LIST}{endpoint.pk}/change/", values)


@pytest.fixture
def existing():
    return add_endpoint("https://crm.example.com/hooks")


def test_the_secret_is_shown_once(staff):
    client = staff(*ALL)
    response = client.post(f"{LIST}add/", FORM)
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    for url in (LIST, f"{LIST}{endpoint.pk}/change/", f"{LIST}{endpoint.pk}/history/"):
        page = client.get(url).content.decode()
        assert endpoint.secret not in page
    assert (
        f"whsec_…{endpoint.secret[-4:]}"
        in client.get(f"{LIST}{endpoint.pk}/change/").content.decode()
    )


def test_all_events_are_ticked_at_first(staff):
    page = staff(*ALL).get(f"{LIST}add/").content.decode()
    boxes = re.findall(r'<input type="checkbox" name="types"[^>]*>', page)
    assert len(boxes) == len(event_types.all_types())
    assert all("checked" in box for box in boxes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://crm.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "ftp://x"},
        {"url": ""},
        {"types": []},
        {"types": ["beacon.other"]},
    ],
)
def test_wrong_values_are_refused(staff, wrong):
    response = staff(*ALL).post(f"{LIST}add/", {**FORM, **wrong})
    assert response.context["adminform"].form.errors.keys() == wrong.keys()
    assert not WebhookEndpoint.objects.exists()


def test_a_new_secret(staff, existing):
    client, old = staff(*ALL), existing.secret
    response = change(client, existing, _rotate="1")
    existing.refresh_from_db()
    assert existing.secret != old
    assert existing.previous_secret == old
    assert existing.secret in response.content.decode()
    page = client.get(f"{LIST}{existing.pk}/change/").content.decode()
    assert "The previous secret signs, too, until" in page
    assert "secret" in text_of(client.get(f"{LIST}{existing.pk}/history/"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(failure=None, status=204), "The endpoint accepted the test: status 204."),
        (
            Answer(failure=Failure.STATUS, status=500, excerpt="<b>no</b>"),
            "The test failed. The endpoint answered with an error: HTTP 500 &lt;b&gt;no&lt;/b&gt;",
        ),
    ],
)
def test_a_test(staff, existing, monkeypatch, answer, said):
    sent = []
    monkeypatch.setattr(pages.delivery, "send_test", lambda one: sent.append(one.pk) or answer)
    client = staff(*ALL)
    response = change(client, existing, _test="1")
    assert sent == [existing.pk]
    assert said in client.get(response["Location"]).content.decode()


def test_who_may_only_view_has_no_buttons(staff, existing):
    client = staff("view_webhookendpoint")
    page = client.get(f"{LIST}{existing.pk}/change/").content.decode()
    assert "_rotate" not in page
    assert "_test" not in page
    assert change(client, existing, _rotate="1").status_code == 403
    existing.refresh_from_db()
    assert existing.previous_secret == ""


def test_saving_does_not_overwrite_what_the_sender_writes(staff, existing):
    client = staff(*ALL)
    WebhookEndpoint.states.update(failures=3, dropped=7)
    change(client, existing, sources="spring")
    existing.refresh_from_db()
    assert (existing.sources, existing.failures, existing.dropped) == ("spring", 3, 7)


def test_who_activates_an_endpoint_wants_an_attempt_now(staff, existing):
    later = timezone.now() + timedelta(hours=1)
    WebhookEndpoint.objects.update(active=False, failure="gone", failures=9, paused_until=later)
    existing.refresh_from_db()
    change(staff(*ALL), existing)
    existing.refresh_from_db()
    assert (existing.active, existing.failure, existing.failures) == (True, "", 0)
    assert existing.paused_until is None


def test_states(staff, existing):
    client = staff(*ALL)
    assert "No delivery yet" in text_of(client.get(LIST))
    WebhookEndpoint.states.update(delivered_at=timezone.now())
    assert "Delivering" in text_of(client.get(LIST))
    hours = timezone.now() - timedelta(hours=3)
    WebhookEndpoint.states.update(failures=2, failing_since=hours, failure="timeout")
    shown = text_of(client.get(LIST))
    assert "Failing" in shown
    assert "The endpoint did not answer in time" in shown
    assert "3\xa0hours ago" in shown
    WebhookEndpoint.states.update(active=False, failure="gone")
    assert "The endpoint asked for no more messages" in text_of(client.get(LIST))
