"""The admin pages of messages that were not delivered."""

import pytest

from tests.support.admin_pages import listed, text_of
from tracking.hits import Hit, Kind
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.recording import write
from tracking.webhooks import add_endpoint

pytestmark = pytest.mark.django_db

LIST = "/admin/tracking/webhookmessage/"


@pytest.fixture
def dead():
    endpoint = add_endpoint("https://crm.example.com/hooks", personal_data=True)
    write([Hit(kind=Kind.OPEN, ip_address="203.0.113.77")])
    endpoint.messages.update(
        is_dead=True, attempts=10, reason="status", status=500, answer="<script>alert(1)</script>"
    )
    WebhookEndpoint.states.update(failures=4, failure="status")
    write([Hit(kind=Kind.CLICK)])
    return endpoint.messages.get(is_dead=True)


def replay(client, *messages):
    data = {"action": "replay", "_selected_action": [one.pk for one in messages]}
    return client.post(LIST, data, follow=True)


def test_the_list_tells_why(staff, dead):
    page = staff("view_webhookmessage").get(LIST, {"state": "dead"})
    assert listed(page) == {dead.pk}
    shown = text_of(page)
    assert "Given up" in shown
    assert "The endpoint answered with an error" in shown
    assert "HTTP 500" in shown
    assert b"<script>alert(1)" not in page.content


def test_filters(staff, dead):
    client = staff("view_webhookmessage")
    [waiting] = WebhookMessage.objects.filter(is_dead=False)
    assert listed(client.get(LIST)) == {dead.pk, waiting.pk}
    assert listed(client.get(LIST, {"state": "waiting"})) == {waiting.pk}
    of_endpoint = {"endpoint__id__exact": dead.endpoint_id, "state": "dead"}
    assert listed(client.get(LIST, of_endpoint)) == {dead.pk}


def test_messages_are_sent_again(staff, dead):
    client = staff("view_webhookmessage", "replay_webhookmessage")
    page = replay(client, *WebhookMessage.objects.all())
    assert "1 message will be sent again." in text_of(page)
    dead.refresh_from_db()
    assert (dead.is_dead, dead.attempts) == (False, 0)
    assert WebhookEndpoint.objects.get().failures == 0


def test_only_who_may_can_send_again(staff, dead):
    client = staff("view_webhookmessage")
    assert "Send selected messages again" not in text_of(client.get(LIST))
    replay(client, dead)
    dead.refresh_from_db()
    assert dead.is_dead


def test_a_message_is_shown_with_its_events(staff, dead):
    client = staff("view_webhookmessage")
    page = client.get(f"{LIST}{dead.pk}/change/").content.decode()
    assert dead.webhook_id in page
    assert "beacon.open" in page
    assert "203.0.113.77" not in page
    assert "203.0.113.0" in page
    page = staff("view_full_address").get(f"{LIST}{dead.pk}/change/").content.decode()
    assert "203.0.113.77" in page


def test_nobody_adds_or_changes_messages(staff, dead, admin_client):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert "_save" not in admin_client.get(f"{LIST}{dead.pk}/change/").content.decode()


def test_messages_of_an_endpoint_that_is_gone_are_not_listed(staff, dead):
    WebhookEndpoint.states.all()._raw_delete("default")
    assert listed(staff("view_webhookmessage").get(LIST)) == set()
