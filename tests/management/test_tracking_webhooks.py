"""The command tracking_webhooks, and what the doctor says about webhooks."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from tracking.hits import Hit, Kind
from tracking.models import WebhookEndpoint, WebhookMessage
from tracking.recording import write
from tracking.webhooks import add_endpoint, delivery
from tracking.webhooks.http_post import Answer

pytestmark = pytest.mark.django_db


def run(capsys, name, *arguments):
    call_command(name, *arguments)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def endpoint(monkeypatch):
    """An endpoint that accepts everything, and an event for it."""
    monkeypatch.setattr(delivery, "post", lambda *_: Answer(failure=None, status=204))
    endpoint = add_endpoint("https://crm.example.com/hooks")
    write([Hit(kind=Kind.OPEN), Hit(kind=Kind.CLICK)])
    return endpoint


def test_the_command_delivers(endpoint, capsys):
    assert run(capsys, "tracking_webhooks") == [
        "messages delivered 1",
        "events in them 2",
        "failed attempts 0",
    ]
    assert not WebhookMessage.objects.exists()
    assert run(capsys, "tracking_webhooks", "--verbosity=0") == []


def test_the_command_sends_again(endpoint, capsys):
    WebhookMessage.objects.update(is_dead=True, attempts=10)
    assert run(capsys, "tracking_webhooks")[0] == "messages delivered 0"
    assert run(capsys, "tracking_webhooks", "--replay")[:2] == [
        "sent again 1",
        "messages delivered 1",
    ]


def test_the_task_delivers(endpoint, celery):
    from tracking.tasks import deliver_webhooks

    deliver_webhooks()
    assert not WebhookMessage.objects.exists()


def test_the_doctor_is_silent_on_sites_without_endpoints(capsys):
    assert not any("webhook" in line for line in run(capsys, "tracking_doctor"))


def test_the_doctor_says_what_waits(endpoint, capsys):
    lines = run(capsys, "tracking_doctor")
    assert "webhook events waiting 2" in lines
    assert "webhook messages given up 0" in lines
    assert not any(line.startswith("Problem: webhook") for line in lines)


def test_the_doctor_says_that_an_endpoint_fails(endpoint, capsys):
    WebhookEndpoint.states.update(failures=1)
    expected = "Problem: webhook endpoints do not accept messages."
    assert expected in run(capsys, "tracking_doctor")


def test_the_doctor_says_that_nobody_delivers(endpoint, capsys):
    WebhookMessage.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=11))
    lines = run(capsys, "tracking_doctor")
    assert any(line.startswith("Problem: no process delivers webhooks") for line in lines)
