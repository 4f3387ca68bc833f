"""The networks around an address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import bans
from tracking.bans.networks import common_text_prefix


@pytest.mark.parametrize(
    ("anonymize", "address", "narrow", "wide"),
    [
        (False, "192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        (False, "2001:db8:1:2:3::7", "2001:db8:1:2:3::7", "2001:db8:1:2::/64"),
        (True, "192.0.2.0", "192.0.2.0/24", "192.0.2.0/24"),
        (True, "2001:db8:1::", "2001:db8:1::/48", "2001:db8:1::/48"),
        ((28, 128), "192.0.2.16", "192.0.2.16/28", "192.0.2.0/24"),
        ((16, 32), "192.0.0.0", "192.0.0.0/16", "192.0.0.0/16"),
        ("rubbish", "192.0.2.0", "192.0.2.0/24", "192.0.2.0/24"),
    ],
)
def test_of_a_masked_visitor_the_network_is_banned(settings, anonymize, address, narrow, wide):
    settings.TRACKING_ANONYMIZE_IP = anonymize
    assert bans.network_to_ban(address, wide=False) == narrow
    assert bans.network_to_ban(address, wide=True) == wide


def test_the_networks_around_an_address():
    around = bans.containing_networks("192.0.2.7")
    assert len(around) == 33
    assert {"192.0.2.7", "192.0.2.0/24", "0.0.0.0/0"} <= set(around)
    assert bans.containing_networks("192.0.2.0/24") == bans.containing_networks(
        "192.0.2.7", at_most=(24, 48)
    )
    assert len(bans.containing_networks("2001:db8::1")) == 129
    assert bans.containing_networks("rubbish") == []


@given(
    st.ip_addresses(),
    st.integers(0, 128),
)
def test_addresses_of_a_network_begin_like_it(address, bits):
    network = ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)
    beginning = common_text_prefix(str(network))
    for one in (address, network[0], network[-1]):
        # IPv4 in another spelling is looked for beside it.
        assert str(one).startswith((beginning, "::ffff:"))
    if address.version == 4 and bits >= 8:
        assert beginning
