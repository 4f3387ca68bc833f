from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.site.models import Affiliate, Subscriber
from tests.support.mailings import BROWSER, GMAIL
from tests.verdicts.test_recent import FIRST, GATEWAY, LATER, mailing
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, LateDay
from tracking.recording import write
from tracking.recording.recent_clicks import recent_clicks
from tracking.reports import campaign
from tracking.rollups.build import roll_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh():
    yield
    recent_clicks.take()


def run(*options):
    out = StringIO()
    call_command("tracking_reclassify", *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def source():
    """Two mailings to readers of one firm, as they were recorded; rules have changed since."""
    source = Affiliate.objects.create(name="Spring letter")
    readers = [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(4)]
    write([one for reader in readers for one in mailing(source, reader)])
    write(
        [
            Hit(kind=Kind.OPEN, time=FIRST, user_agent=GMAIL, ip_address="192.0.2.1"),
            Hit(kind=Kind.OPEN, time=FIRST, user_agent="curl/8.5.0"),
            Hit(kind=Kind.OPEN, time=FIRST + timedelta(days=9), user_agent=BROWSER),
        ]
    )
    Beacon.objects.filter(user_agent=GMAIL).update(
        verdict="bot", verdict_reason="calls itself GoogleImageProxy"
    )
    Beacon.objects.filter(user_agent="curl/8.5.0").update(verdict="human", verdict_reason="")
    Beacon.objects.filter(time__gte=FIRST + timedelta(days=9)).update(
        verdict="bot", verdict_reason="the site knows"
    )
    return source


def test_it_says_what_would_change_and_why(source):
    before = list(Beacon.objects.order_by("pk").values())
    notes = LateDay.objects.count()  # of the rows, which are late
    assert run("--dry-run") == (
        "19 opens and clicks read, 14 would change:\n"
        "  12  Human -> Bot         followed all … links of the message within … s\n"
        "   1  Bot   -> Mail proxy  Gmail's image proxy\n"
        "   1  Human -> Bot         calls itself …\n"
        "1 row has a reason of its own, and stays.\n"
    )
    assert list(Beacon.objects.order_by("pk").values()) == before
    assert LateDay.objects.count() == notes


def test_it_changes_rows_and_the_counts_follow(source):
    roll_up(now=LATER)
    printed = run()
    assert "19 opens and clicks read, 14 changed:" in printed
    assert printed.endswith("tracking_rollup counts 1 day again.\n")
    roll_up(now=LATER)
    report = campaign(source, LATER)
    assert (report.clicked.total, report.clicked.unique, report.clicked.machine) == (4, 4, 0)
    assert run() == (
        "19 opens and clicks read, 0 changed.\n1 row has a reason of its own, and stays.\n"
    )


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_chunks_find_the_same(source, chunk):
    run(f"--chunk={chunk}")
    assert "0 changed" in run()
    assert Beacon.objects.filter(verdict="bot").count() == 14


@pytest.mark.parametrize("chunk", [1, 2, 7, 2_000])
def test_a_dry_run_says_what_a_run_does(source, chunk):
    note = Affiliate.objects.create(name="one link")
    reader = Subscriber.objects.create(email="one@mail.example")
    later = FIRST + timedelta(hours=3)
    write(
        [
            Hit(
                kind=kind,
                source=Reference.to(note),
                entity=Reference.to(reader),
                time=later + timedelta(seconds=seconds),
                user_agent=GATEWAY,
                ip_address="198.51.100.7",
            )
            for kind, seconds in [(Kind.SENT, 0), (Kind.CLICK, 60)]
        ]
    )
    dry = run("--dry-run", f"--chunk={chunk}")
    assert "15 would change" in dry
    assert dry.replace("would change", "changed") in run(f"--chunk={chunk}")


def test_days(source):
    assert "0 opens and clicks read" in run("--until=2026-03-26")
    assert "4 opens and clicks read" in run("--since=2026-03-28", "--until=2026-03-28")
    assert "5 opens and clicks read" in run("--since=2026-03-28")


def test_what_was_a_machine_by_rules_of_earlier_becomes_human(source):
    reader = Beacon.objects.filter(user_agent=BROWSER, kind="click")
    reader.update(verdict="bot", verdict_reason="followed all 3 links of the message within 9 s")
    run()
    assert set(reader.values_list("verdict", "verdict_reason")) == {("human", "")}


def test_a_reader_whose_place_was_hidden_gets_it_and_the_other_way_round(source):
    image = Beacon.objects.filter(user_agent=GMAIL)
    image.update(country="US", city="Mountain View", latitude=37.4, longitude=-122.1)
    run()
    assert image.values_list("country", "city", "latitude").get() == ("", "", None)


@pytest.mark.parametrize(
    "option", ["--chunk=0", "--since=yesterday", "--until=2026-02-30", "--chunk=x"]
)
def test_wrong_options(option):
    with pytest.raises(CommandError):
        run(option)


def test_without_rows():
    assert run() == "0 opens and clicks read, 0 changed.\n"
