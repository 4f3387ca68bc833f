"""How much of the Internet a list covers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tracking import bans
from tracking.bans.coverage import covered_shares
from tracking.bans.prefix_set import Prefix
from tracking.models import BannedIP

pytestmark = pytest.mark.django_db

SIXTEEN = [f"{16 * number}.0.0.0/4" for number in range(16)]


def shares(*networks):
    return covered_shares(map(Prefix.of, networks))


def test_overlaps_count_once():
    assert shares("0.0.0.0/2", "0.0.0.0/4", "16.0.0.0/4", "64.0.0.0/2") == [0.5, 0]
    assert shares("2000::/4", "2001:db8::/32", "fc00::/7") == [0, 0.5]
    assert shares("::/0", "rubbish") == [0, 1]
    assert shares() == [0, 0]


def test_sixteen_networks_do_not_ban_everybody():
    assert bans.find_wide_coverage(SIXTEEN) == ["Together, the networks cover 100 % of 0.0.0.0/0."]
    assert not bans.find_wide_coverage(SIXTEEN[:3])
    [sentence] = bans.find_wide_coverage([f"{group:x}::/6" for group in (0x2400, 0x2800, 0x2C00)])
    assert "38 % of 2000::/3" in sentence


def test_halves_of_a_list_do_not_ban_everybody_either():
    BannedIP.objects.bulk_create(BannedIP(network=network) for network in SIXTEEN[:3])
    assert bans.find_wide_coverage(SIXTEEN[2:5]) == [
        "Together with the bans in force, the networks cover 31 % of 0.0.0.0/0."
    ]
    assert not bans.find_wide_coverage(SIXTEEN[:3])
    assert not bans.find_wide_coverage(["192.0.2.7", "192.0.2.0/24"])


def test_bans_that_have_ended_do_not_count(monkeypatch):
    end = timezone.now() + timedelta(hours=1)
    BannedIP.objects.bulk_create(
        BannedIP(network=network, expires_at=end) for network in SIXTEEN[:3]
    )
    assert bans.find_wide_coverage(SIXTEEN[3:5])
    monkeypatch.setattr("django.utils.timezone.now", lambda: end)
    assert not bans.find_wide_coverage(SIXTEEN[3:5])


def test_a_site_that_bans_half_the_world_on_purpose_can_go_on():
    BannedIP.objects.bulk_create(BannedIP(network=network) for network in SIXTEEN[:8])
    assert not bans.find_wide_coverage(["192.0.2.0/24"])
    assert bans.find_wide_coverage(SIXTEEN[8:12])
