"""Objections to a ban, and the visitors that it would affect."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tracking import bans
from tracking.models import Visitor

TABLE = pytest.mark.django_db


def test_objections(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8", "unix", "2001:db8:1::/48"]

    def against(network, own_address="203.0.113.9"):
        return bans.find_objections(network, own_address=own_address)

    assert against("192.0.2.7") == []
    assert against("203.0.113.9", None) == []
    assert "lock you out" in against("203.0.113.9")[0]
    assert "lock you out" in against("203.0.112.0/20")[0]
    assert "10.0.0.0/8" in against("10.1.2.3")[0]
    assert "10.0.0.0/8" in against("8.0.0.0/6")[0]
    assert "2001:db8:1::/48" in against("2001:db8::/32")[0]
    assert "every address" in against("0.0.0.0/0")[0]
    assert "every address" in against("::/0")[0]
    assert "large part" in against("128.0.0.0/1")[0]
    assert "large part" in against("2000::/3")[0]
    assert against("32.0.0.0/3") == []
    assert "neither" in against("rubbish")[0]


def test_trusting_all_proxies_does_not_make_bans_impossible(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["0.0.0.0/0"]
    assert bans.find_objections("192.0.2.7", own_address=None) == []


@TABLE
def test_visitors_of_now_are_counted():
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "2001:db8::1", None):
        Visitor.objects.create(ip_address=address)
    Visitor.objects.create(
        ip_address="192.0.2.9", last_update=timezone.now() - timedelta(minutes=30)
    )
    assert bans.count_affected_visitors(["192.0.2.0/24", "192.0.2.7"]) == 3
    assert bans.count_affected_visitors(["192.0.2.0/24"], minutes=60) == 4
    assert bans.count_affected_visitors([]) == 0
    counts = bans.count_affected_by_network(
        ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "10.0.0.1"]
    )
    assert counts == {"192.0.2.0/24": 3, "192.0.2.7": 2, "2001:db8::/32": 1, "10.0.0.1": 0}
