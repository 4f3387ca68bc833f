from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.enrichment.message_rules import (
    BURSTS,
    HEAD,
    IMAGE,
    MAX_HITS,
    TRAP,
    Message,
    MessageHit,
    Send,
    Sender,
    judge,
    known_scanners,
    many_recipients,
)
from tracking.enrichment.verdict_rules import Label, Verdict
from tracking.hits import uuid7

SENT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
GATEWAY = Sender("198.51.100.7", "Mozilla/5.0 (Windows NT 10.0) Chrome/128.0.0.0")
READER = Sender("203.0.113.9", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)")


def click(seconds, link=0, sender=GATEWAY, **values):
    url = f"https://shop.example/{link}"
    return MessageHit(uuid7(), True, SENT + timedelta(seconds=seconds), url, sender, **values)


def image(seconds, sender=GATEWAY):
    return MessageHit(uuid7(), False, SENT + timedelta(seconds=seconds), "", sender)


def burst(begin, links, pace, sender=GATEWAY):
    return [click(begin + number * pace, number, sender) for number in range(links)]


def machines(hits, links=None, sent=SENT):
    """Return the positions of the hits that a machine sent, in the order of their times."""
    in_order = sorted(hits, key=lambda hit: hit.time)
    found = judge(Message(in_order, [] if sent is None else [Send(sent, links)]))
    assert all(verdict.label == Label.BOT and verdict.reason for verdict in found.values())
    return [number for number, hit in enumerate(in_order) if hit.id in found]


@pytest.mark.parametrize("begin", [20, 45, 120, 300, 580])
def test_all_links_soon_after_sending(begin):
    hits = burst(begin, 3, 2)
    assert machines(hits, links=3) == [0, 1, 2]
    assert set(judge(Message(hits, [Send(SENT, 3)])).values()) == {
        (Label.BOT, "followed all 3 links of the message within 4 s")
    }


def test_two_seconds_find_nothing():
    """A window of two seconds finds nothing (mautic #16263): gateways take their time."""
    assert machines(burst(60, 6, 9), links=6) == [0, 1, 2, 3, 4, 5]


def test_a_sandbox_that_renders_each_page():
    assert machines(burst(30, 8, 60), links=8) == list(range(8))


def test_a_gateway_that_fetches_each_link_from_another_machine():
    hits = [click(40 + n, n, Sender(f"198.51.100.{n}", GATEWAY.user_agent)) for n in range(4)]
    assert machines(hits) == [0, 1, 2, 3]
    slow = [click(40 + 50 * n, n, Sender(f"198.51.100.{n}", "")) for n in range(6)]
    assert machines(slow, links=6) == list(range(6))
    assert machines(slow) == []


def test_many_links_of_a_message_whose_links_are_not_known():
    assert machines(burst(60, 5, 1)) == [0, 1, 2, 3, 4]
    assert machines(burst(60, 5, 1), links=20) == [0, 1, 2, 3, 4]
    assert machines([image(20), *burst(60, 4, 1)]) == []


@pytest.mark.parametrize(
    ("hits", "links"),
    [
        ([click(30)], 1),  # a person who waits for the mail
        ([click(30), click(31)], 1),  # a double click
        ([image(25), *burst(30, 2, 1)], 2),  # two links prove nothing
        (burst(30, 2, 1), 5),
        (burst(30, 2, 15), 2),
        ([image(25), *burst(40, 3, 1)], 12),  # opened in tabs
        ([image(25), *burst(40, 4, 2)], 12),
        (burst(3_600, 3, 2), 3),  # not soon after sending
        (burst(3_600, 7, 1), 7),
        (burst(100, 4, 60), 4),  # four links, all of them, in some minutes
        ([click(50 * n, 0) for n in range(9)], 9),  # one link, again and again
    ],
)
def test_in_doubt_a_human(hits, links):
    assert machines(hits, links) == []


def test_a_message_that_was_forwarded():
    """Several people follow the links of one message, within hours."""
    hits = [click(600 * n, n, Sender(f"203.0.113.{n}", f"Browser {n}")) for n in range(8)]
    assert machines(hits, links=8) == []


def test_without_a_sending_only_the_fastest_is_a_machine():
    assert machines(burst(0, 5, 1), sent=None) == []
    assert machines(burst(0, 8, 1), sent=None) == list(range(8))
    assert machines(burst(3_600, 8, 1), links=20) == list(range(8))


def test_a_reader_amid_a_slow_scan_stays_human():
    hits = [*burst(60, 6, 40), click(110, 2, READER), image(105, READER)]
    assert machines(hits, links=6) == [0, 1, 4, 5, 6, 7]


def test_a_reader_who_follows_a_link_after_machines_of_several_addresses():
    hits = [click(40 + n, n, Sender(f"198.51.100.{n}", "")) for n in range(5)]
    assert machines([*hits, click(49, 1, READER)], links=5) == [0, 1, 2, 3, 4]
    assert machines([image(20, READER), *hits, click(44, 1, READER)]) == [1, 2, 3, 4, 5]


def test_a_gateway_of_several_addresses_asks_twice():
    hits = [click(40 + n, n, Sender(f"198.51.100.{n}", "")) for n in range(4)]
    again = [click(40.2 + n, n, Sender(f"198.51.101.{n}", "")) for n in range(4)]
    assert machines([*hits, *again], links=9) == list(range(8))


def test_a_burst_goes_on_while_clicks_follow():
    hits = [*burst(60, 5, 1), click(90, 7), click(149, 8), click(300, 9)]
    assert machines(hits, links=20) == list(range(7))


def test_two_links_before_anybody_has_seen_the_message():
    assert machines(burst(60, 2, 3), links=2) == [0, 1]
    found = judge(Message(burst(60, 2, 3), [Send(SENT, 2)], [SENT + timedelta(seconds=30)]))
    assert found == {}
    pool = [click(40 + n, n, Sender(f"198.51.100.{n}", "")) for n in range(2)]
    assert machines(pool, links=2) == [0, 1]
    assert machines([image(30, READER), *pool], links=2) == []


@pytest.mark.parametrize("offset", [-50, -1, 2, 60])
def test_an_image_of_the_sender_of_a_burst_is_the_machines(offset):
    assert len(machines([*burst(100, 4, 1), image(100 + offset)], links=4)) == 5


def test_an_image_amid_a_burst_is_the_machines_whoever_loads_it():
    hits = [*burst(100, 4, 2), image(103, READER), image(90, READER), image(400, GATEWAY)]
    found = judge(Message(sorted(hits, key=lambda hit: hit.time), [Send(SENT, 4)]))
    assert found[hits[4].id].reason == IMAGE
    assert hits[5].id not in found
    assert hits[6].id not in found


def test_who_follows_a_link_that_people_cannot_see():
    hits = [click(4_000, 1, giveaway=TRAP), click(4_003, 2), image(3_999), click(4_001, 3, READER)]
    found = judge(Message(sorted(hits, key=lambda hit: hit.time), []))
    assert {found[hit.id].reason for hit in hits[:3]} == {TRAP}
    assert hits[3].id not in found


def test_a_second_mailing_with_more_links():
    sends = [Send(SENT, 3), Send(SENT + timedelta(hours=1), 12)]
    later = [image(3_640), *burst(3_650, 3, 1)]
    assert judge(Message(later, sends)) == {}
    assert len(judge(Message(burst(50, 3, 1), sends))) == 3


def test_a_known_scanner_followed_the_links_of_three_messages():
    found = known_scanners({GATEWAY: 3, READER: 2, Sender(None, "x"): 9})
    assert list(found) == [GATEWAY]
    assert found[GATEWAY].reason.endswith("of 3 messages")


@pytest.mark.parametrize(("pace", "expected"), [(0.1, 30), (1, 30), (42, 30), (43, 0), (300, 0)])
def test_a_network_follows_the_links_of_many_recipients(pace, expected):
    clicks = [
        (click(30 + pace * number, sender=Sender(f"192.0.2.{number}", "x")), number)
        for number in range(30)
    ]
    assert len(many_recipients(clicks)) == expected


@pytest.mark.parametrize("address", [None, "", "gateway", "192.0.{}.1", "2001:db8:{}::1"])
def test_networks_that_are_several_or_none(address):
    clicks = [
        (click(30 + n, sender=Sender(address and address.format(n), "x")), n) for n in range(30)
    ]
    assert many_recipients(clicks) == {}


def test_a_network_of_ipv6():
    clicks = [(click(n, sender=Sender(f"2001:db8:7:{n}::1", "x")), n) for n in range(8)]
    assert len(many_recipients(clicks)) == 8


def test_further_clicks_of_a_sender_that_is_known():
    hits = [click(60), click(100, 1), click(110, 1, READER), click(300, 2)]
    verdict = Verdict(Label.BOT, "known")
    found = judge(Message(hits, [Send(SENT, 9)]), {hits[0].id: verdict})
    assert found == {hits[0].id: verdict, hits[1].id: verdict}


def test_hits_of_one_message_are_bounded():
    hits = [click(n / 100, n) for n in range(MAX_HITS + 5)]
    assert len(judge(Message(hits, [Send(SENT, None)]))) == MAX_HITS


_SENDERS = st.sampled_from([GATEWAY, READER, Sender(None, ""), Sender("2001:db8::1", "x")])
_HITS = st.lists(
    st.builds(
        click,
        st.floats(-100, 4_000),
        st.integers(0, 9),
        _SENDERS,
        giveaway=st.sampled_from(["", "", TRAP, HEAD]),
    )
    | st.builds(image, st.floats(-100, 4_000), _SENDERS),
    max_size=40,
)


@given(_HITS, st.none() | st.integers(1, 10))
def test_whatever_arrives_each_hit_gets_one_verdict_at_most(hits, links):
    in_order = sorted(hits, key=lambda hit: hit.time)
    found = judge(Message(in_order, [Send(SENT, links)]))
    assert set(found) <= {hit.id for hit in hits}
    assert all(len(verdict.reason) <= 200 for verdict in found.values())


@given(_HITS)
def test_few_links_are_never_a_burst(hits):
    few = [hit for hit in hits if not hit.giveaway and hit.url in {"", "https://shop.example/1"}]
    assert machines(few, links=1) == []


def test_two_links_prove_nothing_alone():
    few = [rule for rule in BURSTS if rule.links < 3]
    assert few
    assert all(rule.is_all and rule.is_lone and rule.is_soon for rule in few)
