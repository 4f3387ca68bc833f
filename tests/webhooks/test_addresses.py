import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.webhooks.addresses import invalid_networks, is_allowed

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "192.0.2.1",
    "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "not-an-address", "127.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address):
    assert not is_allowed(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address):
    assert is_allowed(address)


def test_the_site_names_networks_of_its_own(settings):
    settings.TRACKING_WEBHOOK_NETWORKS = ["10.1.0.0/16", "::1"]
    assert is_allowed("10.1.2.3")
    assert is_allowed("::ffff:10.1.2.3")
    assert is_allowed("::1")
    assert not is_allowed("10.2.0.1")
    assert not is_allowed("127.0.0.1")


@given(st.ip_addresses())
def test_nothing_private_is_allowed(address):
    if is_allowed(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_however_an_address_is_embedded(inner):
    number = int(inner)
    for outer in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert is_allowed(str(ipaddress.IPv6Address(outer))) == is_allowed(str(inner))


@pytest.mark.parametrize("networks", ["10.0.0.0/8", ["10.0.0.0/33"], ["localhost"]])
def test_wrong_networks_allow_nothing(settings, networks):
    settings.TRACKING_WEBHOOK_NETWORKS = networks
    assert invalid_networks()
    assert not is_allowed("10.0.0.1")
