"""Look up addresses in a ban list."""

import ipaddress
import itertools
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tracking import bans
from tracking.bans.prefix_set import PrefixSet


def listed(*networks):
    return PrefixSet.from_networks((network, None) for network in networks)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::/0", "2001:db8::1", "192.0.2.7"),
        ("192.0.2.0/24", "::ffff:192.0.2.9", "::192.0.2.9"),
        ("192.0.2.9/24", "192.0.2.1", "192.0.3.9"),  # as only raw SQL can write it
        ("::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"),
    ],
)
def test_networks_of_both_versions_are_looked_up(network, inside, outside):
    assert inside in listed(network)
    assert outside not in listed(network)


addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    # close to each other, or nothing is ever hit
    st.integers(0, 2**12).map(lambda n: ipaddress.IPv4Address((192 << 24) + n)),
    st.integers(0, 2**12).map(lambda n: ipaddress.IPv6Address((0x20010DB8 << 96) + n)),
)


@st.composite
def networks(draw):
    address = draw(addresses)
    bits = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, bits), strict=False)


@given(st.lists(networks(), max_size=20), st.lists(addresses, min_size=1))
def test_it_agrees_with_the_standard_library(some, looked_up):
    some = [network for network in some if network.version == 4 or network.prefixlen < 96]
    ours = listed(*map(str, some))
    for address in looked_up:
        if address.version == 6 and address.ipv4_mapped:
            continue
        expected = any(address in network for network in some)
        assert (str(address) in ours) is expected
        if address.version == 4:
            assert (f"::ffff:{address}" in ours) is expected


@pytest.mark.parametrize("text", ["", "rubbish", "192.0.2", "1.2.3.4\0", "ä", "fe80::1%eth0", ":"])
def test_what_is_no_address_is_not_banned(text):
    assert text not in listed("0.0.0.0/0", "::/0")
    assert not bans.is_banned(None)


@pytest.mark.parametrize("text", ["rubbish", "1.2.3.4/33", "1.2.3.4/-1", "::/129", "1.2.3.4\0", ""])
def test_a_row_that_makes_no_sense_is_left_out_with_one_line(text, caplog):
    made = listed("192.0.2.7", text, text, "2001:db8::1")
    assert "192.0.2.7" in made
    assert "2001:db8::1" in made
    [record] = caplog.records
    assert "2 banned networks" in record.getMessage()


@pytest.mark.long
def test_at_110000_entries_it_is_small_and_quick_to_look_up():
    rows = [str(ipaddress.IPv4Address((11 << 24) + 37 * n)) for n in range(100_000)]
    rows += [str(ipaddress.IPv4Network(((12 << 24) + (n << 8), 24))) for n in range(10_000)]
    made = listed(*rows)
    assert all(row.partition("/")[0] in made for row in itertools.islice(rows, 0, None, 997))
    # What the time of a look-up depends on: one step for each length of prefix.
    assert len(made._four) == 2


def test_of_two_spellings_of_a_network_the_later_end_counts():
    past, future = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    for rows in itertools.permutations([("192.0.2.9/24", past), ("192.0.2.0/24", future)]):
        assert "192.0.2.7" in PrefixSet.from_networks(rows)
    for rows in itertools.permutations([("192.0.2.9/24", past), ("192.0.2.0/24", None)]):
        assert "192.0.2.7" in PrefixSet.from_networks(rows)
    assert "192.0.2.7" not in PrefixSet.from_networks(
        [("192.0.2.9/24", past), ("192.0.2.0/24", past)]
    )
