"""What became of messages, compared with a plain loop over the rows."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.site.models import Affiliate, Subscriber
from tracking.hits import DELIVERY_KINDS, Hit, Kind, Reference
from tracking.models import Beacon
from tracking.recording import write
from tracking.reports.campaigns import campaign
from tracking.reports.csv_tables import campaign_table
from tracking.reports.delivery import COLUMNS
from tracking.rollups import build

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MAILBOXES = ["gmail", "outlook", "yahoo", "apple", "other"]


@pytest.fixture
def mailing():
    return Affiliate.objects.create(name="Spring letter")


def event(kind, mailing, entity=None, time=NOW, **data):
    return Hit(
        kind=kind,
        time=time,
        source=Reference.to(mailing),
        entity=entity and Reference.to(entity),
        data=data,
    )


def random_events(mailing, seed):
    """Return events of some days, in any order, most of them near midnight."""
    chance = random.Random(seed)
    readers = [Subscriber.objects.create(email=f"{n}@{seed}.example") for n in range(12)]
    homes = {reader.pk: chance.choice(MAILBOXES) for reader in readers}
    hits = []
    for number in range(150):
        reader = chance.choice([*readers, None])
        midnight = datetime(2026, 3, 29, tzinfo=BERLIN) + timedelta(days=chance.randrange(4))
        time = midnight.astimezone(UTC) + timedelta(minutes=chance.randint(-90, 300))
        kind = chance.choice([Kind.SENT] * 3 + [Kind.OPEN, *DELIVERY_KINDS])
        data = {"message_id": f"m-{chance.randrange(20)}"} if reader is None or number % 2 else {}
        if chance.random() < 0.8:
            data["mailbox"] = homes[reader.pk] if reader else MAILBOXES[number % 5]
        if kind == Kind.BOUNCED:
            data["bounce"] = chance.choice(["hard", "soft", "rejected"])
        hits.append(event(kind, mailing, reader, time, **data))
    return hits


def expected():
    """Count by loops: recipients once, messages without one once a day."""
    homes, seen = defaultdict(set), defaultdict(set)
    for beacon in Beacon.objects.exclude(kind=Kind.OPEN):
        if beacon.entity_id:
            who = beacon.entity_id
        else:
            day = beacon.time.astimezone(BERLIN).date()
            who = (day, beacon.data.get("message_id", ""))
        homes[who].add(beacon.data.get("mailbox", ""))
        seen[who] |= {beacon.kind, beacon.data.get("bounce", "")} - {""}
    counts = defaultdict(Counter)
    for who, outcomes in seen.items():
        for outcome in outcomes:
            counts[min(homes[who] - {""}, default="")][outcome] += 1
            counts["all"][outcome] += 1
    return counts


def shown(report):
    return {
        line.mailbox: {name: getattr(line, name) for name in (*COLUMNS, "bounced")}
        for line in (*report.by_mailbox, report.total)
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(6))
def test_the_table_is_what_a_loop_counts(mailing, seed):
    hits = random_events(mailing, seed)
    write(hits[:100])
    for hits_now in (hits[100:], []):
        found = shown(campaign(mailing, NOW).delivery)
        counts = expected()
        assert set(found) == set(counts)
        for mailbox, numbers in found.items():
            for name, number in numbers.items():
                assert (number or 0) == counts[mailbox][name], (mailbox, name)
        build.roll_up(now=NOW)
        assert shown(campaign(mailing, NOW).delivery) == found
        write(hits_now)  # some are late: their days are counted again


def test_nothing_is_known_without_events(mailing):
    anna = Subscriber.objects.create()
    write([event(Kind.SENT, mailing, anna, mailbox="gmail")])
    report = campaign(mailing, NOW).delivery
    assert not report.total.has_events
    [line] = report.by_mailbox
    assert (line.mailbox, line.sent) == ("gmail", 1)
    assert {getattr(line, name) for name in COLUMNS if name != "sent"} == {None}
    assert line.delivered_rate is line.bounce_rate is line.complaint_rate is None


def test_zero_is_known_where_it_is_reported(mailing):
    readers = [Subscriber.objects.create() for _ in range(4)]
    for reader, mailbox in zip(readers, ["gmail", "yahoo", "outlook", "apple"], strict=True):
        write([event(Kind.SENT, mailing, reader, mailbox=mailbox)])
        if mailbox != "apple":
            write([event(Kind.DELIVERED, mailing, reader, mailbox=mailbox)])
    lines = shown(campaign(mailing, NOW).delivery)
    assert lines["yahoo"]["delivered"] == 1
    assert lines["yahoo"]["hard"] is lines["yahoo"]["complained"] is None  # never reported
    # Another mailing shows that the provider reports bounces and complaints.
    other = Affiliate.objects.create(name="Autumn letter")
    write([event(Kind.BOUNCED, other, readers[0], bounce="hard", mailbox="gmail")])
    write([event(Kind.COMPLAINED, other, readers[1], mailbox="yahoo")])
    lines = shown(campaign(mailing, NOW).delivery)
    assert (lines["yahoo"]["hard"], lines["yahoo"]["complained"]) == (0, 0)
    assert (lines["gmail"]["hard"], lines["gmail"]["complained"]) == (0, None)
    assert lines["yahoo"]["unsubscribed"] is None
    assert set(lines["apple"].values()) == {1, None}  # nothing at all was reported of Apple
    assert campaign(mailing, NOW).delivery.total.delivered_rate == 0.75


def test_one_recipient_counts_once(mailing):
    anna = Subscriber.objects.create()
    sent = event(Kind.SENT, mailing, anna, NOW - timedelta(days=3), mailbox="yahoo")
    deferred = [
        event(Kind.DEFERRED, mailing, anna, NOW - timedelta(days=n), mailbox="yahoo")
        for n in (2, 1, 0)
    ]
    bounces = [
        event(Kind.BOUNCED, mailing, anna, bounce=name, mailbox="yahoo")
        for name in ("soft", "hard")
    ]
    write([sent, *deferred, *bounces])
    [line] = campaign(mailing, NOW).delivery.by_mailbox
    assert (line.sent, line.deferred, line.bounced, line.soft, line.hard) == (1, 1, 1, 1, 1)


def test_files(mailing):
    anna = Subscriber.objects.create()
    write(
        [
            event(Kind.SENT, mailing, anna, mailbox="gmail"),
            event(Kind.DELIVERED, mailing, anna, mailbox="gmail"),
        ]
    )
    table = campaign_table("delivery", mailing)
    assert table.head[:4] == ("Mailbox provider", "Name", "Sent", "Delivered")
    assert [row[:5] for row in table.rows] == [
        ("gmail", "Gmail", 1, 1, None),
        ("all", "All", 1, 1, None),
    ]
    values = campaign(mailing, NOW).as_dict()["delivery"]
    assert values["total"]["delivered_rate"] == 1
    assert values["by_mailbox"][0]["complained"] is None
