import pytest

from tracking.checks.webhooks import (
    check_webhook_encryption,
    check_webhook_limits,
    check_webhook_networks,
)


def ids(messages):
    return [message.id for message in messages]


def test_the_defaults_are_fine():
    checks = (check_webhook_limits, check_webhook_networks, check_webhook_encryption)
    assert [message for check in checks for message in check()] == []


@pytest.mark.parametrize("value", [0, -1, "15", None, True])
def test_numbers(settings, value):
    settings.TRACKING_WEBHOOK_TIMEOUT = value
    assert ids(check_webhook_limits()) == ["tracking.E039"]
    settings.TRACKING_WEBHOOK_BACKLOG = value
    assert ids(check_webhook_limits()) == ["tracking.E039"] * 2


@pytest.mark.parametrize("value", ["10.0.0.0/8", ["localhost"], ["10.0.0.0/33"]])
def test_networks(settings, value):
    settings.TRACKING_WEBHOOK_NETWORKS = value
    assert ids(check_webhook_networks()) == ["tracking.E040"]


def test_encryption(settings):
    settings.TRACKING_WEBHOOK_HTTP = True
    assert ids(check_webhook_encryption()) == ["tracking.W025"]
    settings.DEBUG = True
    assert check_webhook_encryption() == []
