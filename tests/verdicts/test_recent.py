"""Clicks of machines that looked like those of people are corrected, and the counts follow."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.site.models import Affiliate, Subscriber
from tests.support import brute_force
from tests.support.concurrency import in_threads
from tests.support.mailings import BROWSER, GMAIL
from tracking.hits import Hit, Kind, PageHit, Reference
from tracking.models import Beacon, LateDay, SharedValue
from tracking.recording import write
from tracking.recording.recent_clicks import recent_clicks
from tracking.reports import campaign
from tracking.retention import turns
from tracking.rollups.build import roll_up
from tracking.signals import verdicts_corrected
from tracking.verdicts import background, recent
from tracking.verdicts.comparison import compare
from tracking.verdicts.corrections import correct
from tracking.verdicts.messages import read
from tracking.verdicts.recent import correct_if_due, correct_recent

pytestmark = pytest.mark.django_db(transaction=True)

GATEWAY = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/128.0.0.0 Safari/537.36"
)
ALL_OF_THREE = "followed all 3 links of the message within 4 s"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    recent_clicks.take()
    monkeypatch.setattr(turns, "_claimed_at", {})
    yield
    recent_clicks.take()


@pytest.fixture
def source():
    return Affiliate.objects.create(name="Spring letter")


@pytest.fixture
def anna():
    return Subscriber.objects.create(email="anna@mail.example")


def hit(kind, source, entity, ago, link=None, agent=GATEWAY, address="198.51.100.7", **values):
    return Hit(
        kind=kind,
        source=source and Reference.to(source),
        entity=entity and Reference.to(entity),
        time=timezone.now() - timedelta(seconds=ago),
        url="" if link is None else f"https://shop.example/{link}",
        user_agent=agent if kind in {Kind.OPEN, Kind.CLICK} else "",
        ip_address=address if kind in {Kind.OPEN, Kind.CLICK} else None,
        **values,
    )


def sent(source, entity, ago, links=3):
    return hit(Kind.SENT, source, entity, ago, data={"links": links})


def burst(source, entity, ago, links=3, pace=2, **values):
    return [
        hit(Kind.CLICK, source, entity, ago - pace * link, link, **values) for link in range(links)
    ]


def verdicts():
    return list(Beacon.objects.clicks().order_by("time").values_list("verdict", flat=True))


def test_a_burst_is_corrected_with_its_reason(source, anna):
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    assert verdicts() == ["human"] * 3
    assert correct_recent() == 3
    assert set(Beacon.objects.clicks().values_list("verdict", "verdict_reason")) == {
        ("bot", ALL_OF_THREE)
    }
    assert correct_recent() == 0


def test_a_click_that_completes_the_burst_corrects_the_earlier_ones(source, anna):
    first, *others = burst(source, anna, 50)
    write([sent(source, anna, 100), first])
    assert correct_recent() == 0
    write(others)
    assert correct_recent() == 3


def test_a_person_stays_human(source, anna):
    ben = Subscriber.objects.create(email="ben@mail.example")
    reader = {"agent": BROWSER, "address": "203.0.113.8"}
    write(
        [
            sent(source, anna, 300),
            sent(source, ben, 300),
            *burst(source, anna, 250),
            hit(Kind.OPEN, source, anna, 249),
            hit(Kind.OPEN, source, anna, 200, **reader),
            hit(Kind.CLICK, source, anna, 100, 1, **reader),
            *burst(source, ben, 200, links=2, **reader),
        ]
    )
    assert correct_recent() == 4
    people = Beacon.objects.humans().exclude(kind=Kind.SENT)
    assert set(people.values_list("user_agent", flat=True)) == {BROWSER}
    assert people.count() == 4


def test_proxies_and_named_machines_keep_their_verdict(source, anna):
    write(
        [
            sent(source, anna, 100),
            *burst(source, anna, 50),
            hit(Kind.OPEN, source, anna, 49, agent=GMAIL),
            hit(Kind.CLICK, source, anna, 49, 2, agent="curl/8.5.0"),
        ]
    )
    correct_recent()
    assert Beacon.objects.opens().get().verdict == "proxy"
    assert Beacon.objects.get(user_agent="curl/8.5.0").verdict_reason == "calls itself curl"


def test_hits_without_a_recipient_are_compared_by_sender(source):
    """Nobody knows who got the link: only what one address and program does is compared."""
    write(
        [
            sent(source, None, 100),
            *burst(source, None, 50),
            hit(Kind.CLICK, source, None, 49, 1, address="203.0.113.9"),
            hit(Kind.CLICK, source, None, 48, 2, address="203.0.113.10"),
        ]
    )
    assert correct_recent() == 3
    assert verdicts().count("human") == 2


def test_messages_with_ids_of_their_own_are_compared_apart(source, anna):
    hits = [
        hit(Kind.CLICK, source, anna, 50 - link, link, data={"message_id": f"<{link // 2}@x>"})
        for link in range(4)
    ]
    write([sent(source, anna, 100, links=4), *hits])
    assert correct_recent() == 0


def test_a_sender_that_scanned_three_messages_is_known(source):
    """Messages with one link show no burst."""
    letter, note = source, Affiliate.objects.create(name="one link")
    readers = [Subscriber.objects.create(email=f"{n}@firm.example") for n in range(4)]
    write(
        [
            *(sent(letter, reader, 300) for reader in readers[:3]),
            *(click for reader in readers[:3] for click in burst(letter, reader, 200)),
            *(sent(note, reader, 100, links=1) for reader in readers),
            hit(Kind.CLICK, note, readers[3], 50, 1),
            hit(Kind.OPEN, note, readers[2], 50),
            hit(Kind.OPEN, note, readers[2], 50, agent=BROWSER),
            hit(Kind.OPEN, note, readers[1], 40, address="203.0.113.1"),
        ]
    )
    assert correct_recent() == 11
    known = Beacon.objects.filter(verdict_reason__startswith="the same address and browser")
    assert sorted(known.values_list("kind", flat=True)) == ["click", "open"]


def test_two_scanned_messages_are_not_enough(source):
    readers = [Subscriber.objects.create(email=f"{n}@firm.example") for n in range(3)]
    write(
        [
            *(sent(source, reader, 300) for reader in readers),
            *(click for reader in readers[:2] for click in burst(source, reader, 200)),
            hit(Kind.CLICK, source, readers[2], 150, 1),
        ]
    )
    assert correct_recent() == 6


def test_one_sender_and_the_links_of_many_recipients(source):
    readers = [Subscriber.objects.create(email=f"{n}@firm.example") for n in range(9)]
    write(
        [
            *(sent(source, reader, 100, links=1) for reader in readers),
            *(hit(Kind.CLICK, source, one, 50 - n / 2, 1) for n, one in enumerate(readers)),
        ]
    )
    assert correct_recent() == 9


@pytest.mark.parametrize("agent", [BROWSER, GMAIL, "Mozilla/5.0"])
def test_people_behind_one_address_see_the_message_first(source, agent):
    """An office, or the customers of a mobile network, whose images a provider may load."""
    readers = [Subscriber.objects.create(email=f"{n}@firm.example") for n in range(30)]
    write(
        [
            *(sent(source, reader, 100, links=2) for reader in readers),
            *(hit(Kind.OPEN, source, one, 80 - n, agent=agent) for n, one in enumerate(readers)),
            *(hit(Kind.CLICK, source, one, 70 - n, 1) for n, one in enumerate(readers)),
        ]
    )
    assert correct_recent() == 0


def test_the_signal_tells_each_change_once(source, anna, restore_receivers):
    told = []

    def receive(sender, beacons, previous, **kwargs):
        told.append((sender, beacons, previous))

    verdicts_corrected.connect(receive)
    try:
        write([sent(source, anna, 100), *burst(source, anna, 50)])
        correct_recent()
        correct_recent()
    finally:
        verdicts_corrected.disconnect(receive)
    [(sender, beacons, previous)] = told
    assert sender is Beacon
    assert {beacon.verdict for beacon in beacons} == {"bot"}
    assert {beacon.pk for beacon in beacons} == set(previous)
    assert {verdict.label for verdict in previous.values()} == {"human"}


def test_a_receiver_that_fails_changes_nothing(source, anna, caplog):
    def fail(**kwargs):
        raise RuntimeError("a receiver of the site")

    verdicts_corrected.connect(fail)
    try:
        write([sent(source, anna, 100), *burst(source, anna, 50)])
        assert correct_recent() == 3
    finally:
        verdicts_corrected.disconnect(fail)
    assert verdicts() == ["bot"] * 3


def test_what_another_process_has_changed_stays(source, anna):
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    clicks = read(Beacon.objects.clicks().order_by("time"))
    changes = compare(clicks, "default", timedelta(minutes=10))
    first = changes[0]
    Beacon.objects.filter(pk=first.id).update(verdict_reason="by hand")
    assert len(correct(changes)) == 2
    assert Beacon.objects.get(pk=first.id).verdict_reason == "by hand"
    assert correct(changes) == []


def test_a_row_that_was_deleted_meanwhile(source, anna):
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    clicks = read(Beacon.objects.clicks().order_by("time"))
    changes = compare(clicks, "default", timedelta(minutes=10))
    Beacon.objects.filter(pk=changes[0].id).delete()
    assert len(correct(changes)) == 2


@pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory there is one connection")
def test_two_processes_correct_at_once(source):
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(20)]
    write([sent(source, reader, 100) for reader in readers])
    write([click for reader in readers for click in burst(source, reader, 50)])
    told = []

    def receive(previous, **kwargs):
        told.extend(previous)

    verdicts_corrected.connect(receive)
    try:
        corrected = in_threads(correct_recent, correct_recent, correct_recent)
    finally:
        verdicts_corrected.disconnect(receive)
    assert sum(corrected) == 60
    assert len(told) == len(set(told)) == 60
    assert verdicts() == ["bot"] * 60


@pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory there is one connection")
def test_clicks_that_arrive_while_others_are_corrected(source):
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(20)]
    write([sent(source, reader, 100) for reader in readers])
    bursts = [burst(source, reader, 50) for reader in readers]
    write([clicks[0] for clicks in bursts])

    def rest():
        for clicks in bursts:
            write(clicks[1:])

    def several():
        for _ in range(5):
            correct_recent()

    in_threads(rest, several)
    correct_recent()
    assert verdicts() == ["bot"] * 60


# Counts.

FIRST = datetime(2026, 3, 27, 11, tzinfo=UTC)
LATER = datetime(2026, 4, 10, 12, tzinfo=UTC)


def at(time, kind, source, entity, link=None, agent=GATEWAY, data=None):
    address = "198.51.100.7" if agent == GATEWAY else "203.0.113.5"
    return Hit(
        kind=kind,
        source=Reference.to(source),
        entity=Reference.to(entity),
        time=time,
        url="" if link is None else f"https://shop.example/{link}",
        user_agent=agent,
        ip_address=address,
        data=data or {},
    )


def mailing(source, entity, begin=FIRST):
    """A machine follows all links; next day the person follows one."""
    return [
        at(begin, Kind.SENT, source, entity, agent="", data={"links": 3}),
        *(at(begin + timedelta(seconds=60 + n), Kind.CLICK, source, entity, n) for n in range(3)),
        at(begin + timedelta(days=1), Kind.CLICK, source, entity, 1, BROWSER),
    ]


def compare_history():
    clicks = read(Beacon.objects.clicks().order_by("time"))
    return correct(compare(clicks, "default", timedelta(minutes=10)))


def test_counts_of_counted_days_follow(source):
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(3)]
    reference = Reference.to(source)
    write([one for reader in readers for one in mailing(source, reader)])
    roll_up(now=LATER)
    assert campaign(reference, LATER).clicked.total == 12
    assert len(compare_history()) == 9
    assert [str(note.day) for note in LateDay.objects.all()] == ["2026-03-27"]
    roll_up(now=LATER)
    assert not LateDay.objects.exists()
    report = campaign(reference, LATER)
    assert brute_force.reported(report) == brute_force.campaign(reference)
    assert (report.clicked.total, report.clicked.unique) == (3, 3)
    # They are new on the day on which they followed a link themselves.
    fresh = campaign(reference, LATER)
    roll_up(now=LATER, rebuild=True)
    assert campaign(reference, LATER).as_dict() == fresh.as_dict()


def test_days_that_are_not_counted_yet_need_no_note(source, anna):
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    correct_recent()
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    if timezone.now() - midnight > timedelta(minutes=35):
        assert not LateDay.objects.exists()


def test_a_day_that_is_counted_while_it_is_corrected(source, monkeypatch):
    """The roll-up has read the rows when they change: the note stays, and it counts again."""
    from tracking.rollups import build

    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(2)]
    reference = Reference.to(source)
    write([one for reader in readers for one in mailing(source, reader)])
    counted = build.PendingCounts.__enter__

    def correct_then(self):
        result = counted(self)
        monkeypatch.setattr(build.PendingCounts, "__enter__", counted)
        compare_history()
        return result

    monkeypatch.setattr(build.PendingCounts, "__enter__", correct_then)
    roll_up(now=LATER)
    assert LateDay.objects.exists()
    roll_up(now=LATER)
    assert brute_force.reported(campaign(reference, LATER)) == brute_force.campaign(reference)


# When, and at what cost.


def test_without_clicks_nothing_is_asked(source, anna, django_assert_num_queries):
    write([sent(source, anna, 100), hit(Kind.OPEN, source, anna, 50)])
    write([PageHit(visitor="anna", url="/", user_agent=BROWSER)])
    write([hit(Kind.CLICK, None, None, 50, 1)])  # a link of no mailing, to nobody
    assert recent_clicks.since is None
    with django_assert_num_queries(0):
        correct_if_due()


def test_writing_clicks_takes_no_further_statement(source, anna):
    hits = [hit(Kind.OPEN, source, anna, 50), hit(Kind.CLICK, source, anna, 50, 1)]
    counts = []
    for one in [hit(Kind.OPEN, source, anna, 50), *hits]:
        with CaptureQueriesContext(connection) as queries:
            write([one])
        counts.append(len(queries))
    assert counts[1] == counts[2]


def test_it_is_compared_once_in_a_while(source, anna, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(turns, "monotonic", lambda: now[0])
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    correct_if_due()
    assert verdicts() == ["bot"] * 3
    ben = Subscriber.objects.create(email="ben@mail.example")
    write([sent(source, ben, 100), *burst(source, ben, 40)])
    correct_if_due()
    assert verdicts().count("human") == 3
    now[0] += recent.EVERY
    SharedValue.objects.filter(name=recent.TASK).update(
        changed_at=timezone.now() - timedelta(seconds=recent.EVERY)
    )
    correct_if_due()
    assert verdicts() == ["bot"] * 6


def test_clicks_of_a_process_that_died_are_found_by_the_next(source, anna):
    ben = Subscriber.objects.create(email="ben@mail.example")
    write([sent(source, ben, 100), hit(Kind.CLICK, source, ben, 90, 1)])
    correct_recent()
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    recent_clicks.take()  # it died
    assert correct_recent() == 3


def test_clicks_that_waited_on_disk_are_compared(source, anna):
    ben = Subscriber.objects.create(email="ben@mail.example")
    write([sent(source, ben, 30), hit(Kind.CLICK, source, ben, 1, 1)])
    correct_recent()
    write([sent(source, anna, 7_200), *burst(source, anna, 7_000)])
    assert correct_recent() == 3


def test_many_clicks_are_compared_in_turns(source, monkeypatch):
    monkeypatch.setattr(recent, "_CHUNK", 5)
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(9)]
    write([sent(source, reader, 200) for reader in readers])
    write(
        [
            click
            for number, reader in enumerate(readers)
            for click in burst(source, reader, 100 - 8 * number, address=f"192.0.2.{number}")
        ]
    )
    turns_taken = 0
    while recent_clicks.since is not None:
        correct_recent(seconds=0)
        turns_taken += 1
        assert turns_taken < 30
    assert turns_taken > 2
    assert verdicts() == ["bot"] * 27


def test_many_clicks_at_one_moment_end(source, anna, monkeypatch):
    monkeypatch.setattr(recent, "_CHUNK", 2)
    click = hit(Kind.CLICK, source, anna, 50, 1)
    write([click])
    moment = click.time
    write(
        [
            Hit(kind=Kind.CLICK, source=click.source, entity=click.entity, time=moment, url="/x")
            for _ in range(7)
        ]
    )
    assert correct_recent() == 0


def test_a_click_from_the_future_does_not_stop_the_comparison(source, anna):
    write([hit(Kind.CLICK, source, anna, -86_400 * 300, 1)])
    correct_recent()
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    assert correct_recent() == 3


def test_a_setting_switches_it_off(source, anna, settings, django_assert_num_queries):
    settings.TRACKING_VERDICT_WINDOW = 0
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    with django_assert_num_queries(0):
        correct_if_due()
        assert correct_recent() == 0
    assert recent_clicks.since is None


def test_an_error_is_logged_and_tried_again(source, anna, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("the database is down")

    write([sent(source, anna, 100), *burst(source, anna, 50)])
    monkeypatch.setattr(recent, "compare", fail)
    correct_if_due()
    assert "Comparing recent clicks failed" in caplog.text
    assert recent_clicks.since is not None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="in memory there is one connection")
def test_a_thread_compares_where_none_writes(source, anna, monkeypatch):
    monkeypatch.setattr(background, "_DELAY", 0)
    monkeypatch.setattr(recent, "EVERY", 0.05)
    write([sent(source, anna, 100), *burst(source, anna, 50)])
    background.start_if_needed()
    assert background._thread is None or not background._thread.is_alive()  # in tests of a site
    background.start().join(20)
    assert verdicts() == ["bot"] * 3
    assert recent_clicks.since is None


def test_sites_without_time_zones(source, anna, settings):
    settings.USE_TZ = False
    now = datetime.now()
    write(
        [
            sent(source, anna, 100),
            *(
                Hit(
                    kind=Kind.CLICK,
                    source=Reference.to(source),
                    entity=Reference.to(anna),
                    time=now - timedelta(seconds=50 - n),
                    url=f"/{n}",
                    user_agent=GATEWAY,
                )
                for n in range(3)
            ),
        ]
    )
    assert correct_recent() == 3
