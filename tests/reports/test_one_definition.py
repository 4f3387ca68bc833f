"""Pages, files, the command, the mail and Python say the same about who opened, as loops count it.

The worlds are those of :mod:`tests.support.worlds`: days of random traffic around a clock change.
"""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import override_settings

from tests.site.models import Affiliate, Subscriber
from tests.support import worlds
from tests.support.admin_pages import text_of
from tests.support.mailings import APPLE, BROWSER, GMAIL, hit, report_url
from tracking.admin.reports import overview_frame
from tracking.hits import Kind, Reference
from tracking.models import Beacon, DailyCount
from tracking.recording import write
from tracking.reports import (
    Filters,
    Group,
    Period,
    State,
    campaign,
    formatting,
    lines,
    overview,
    overview_table,
    recipients,
)
from tracking.reports.plain_text import campaign_text, overview_text
from tracking.reports.weekly_mail import send
from tracking.rollups import completeness
from tracking.rollups.build import roll_up
from tracking.rollups.days import start_of, today
from tracking.rollups.metric_definitions import TERMS

pytestmark = pytest.mark.django_db(transaction=True)

OVERVIEW = "/admin/tracking/beacon/overview/"

#: The words of the loops, by the names of the reports.
WORDS = {
    "confirmed": "confirmed",
    "proxied": "proxied",
    "without_image": "clicked without image",
    "machine": "machine only",
}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3, 4))]
)
def test_everything_that_says_who_opened_says_the_same(seed, admin_client, monkeypatch):
    monkeypatch.setattr(overview_frame, "COUNTING_SECONDS", 60)  # no page of progress
    with override_settings(TIME_ZONE=worlds.zone_of(seed)):
        world = worlds.world(seed, number=160)
        late = world.hits[2::5]
        write([one for one in world.hits if one not in late])
        compare(world, admin_client)
        roll_up(now=datetime(world.last.year, world.last.month, world.last.day, tzinfo=UTC))
        write(late)
        compare(world, admin_client)
        roll_up()
        compare(world, admin_client)


def compare(world, client):
    first, last = world.first - timedelta(days=1), world.last + timedelta(days=1)
    everything = worlds.of_days(first, last, world.zone)
    compare_site(client, first, last, everything)
    for source in world.mailings:
        loop = worlds.of_object("source", source, world.zone)
        reference = Reference.to(source)
        label = f"{reference.label}:{reference.pk}"
        some = worlds.of_days(first, last, world.zone, worlds.is_of(source))
        compare_overview_page(client, first, last, some, mailing=label)
        compare_report(client, source, label, loop)
        compare_recipients(client, source, loop)


def compare_site(client, first, last, loop):
    compare_overview_page(client, first, last, loop)
    report = overview(Period.custom(first, last))
    parts = {name: loop[word] for name, word in WORDS.items()}
    unique = loop["daily unique opens"]
    assert report.as_dict()["opened"] == {
        "unique": unique,
        "at_least": loop["confirmed"],
        "at_most": unique + loop["machine only"],
        **parts,
    }
    assert report.has_all_opened
    send(report, ["anna@mail.example"])
    said = told(mail.outbox[-1].body)
    span = formatting.counts(loop["confirmed"], unique + loop["machine only"])
    assert re.search(rf"At least, at most +{span}\n", mail.outbox[-1].body)
    assert {name: said[str(TERMS[name].title)] for name in WORDS} == parts
    assert said[str(TERMS["daily_unique_opens"].title)] == unique
    assert said[str(TERMS["opens"].title)] == loop["opens"]
    # The command knows days up to yesterday.
    days = (today() - first).days
    figures = json.loads(command("--json", "--days", str(days)))["figures"]
    assert {name: figures[name]["value"] for name in WORDS} == parts


def compare_overview_page(client, first, last, loop, **filters):
    """The page, and its file by day."""
    asked = {"period": "custom", "first": first.isoformat(), "last": last.isoformat(), **filters}
    response = client.get(OVERVIEW, asked)
    text_of(response)
    shown = {str(figure["name"]): figure for figure in response.context["figures"]}
    opened = shown[str(TERMS["daily_unique_opens"].title)]
    unique = loop["daily unique opens"]
    assert opened["text"] == formatting.count(unique)
    assert opened["aside"] == formatting.opens(loop["opens"])
    if unique + loop["machine only"]:
        least, most = loop["confirmed"], unique + loop["machine only"]
        assert opened["range"] == f"at least {least}, at most {most}"
    table = overview_table("series", Period.custom(first, last), Filters(**filters))
    head, *rows = read(lines(table))
    for name, number in {
        "daily_unique_opens": unique,
        **{name: loop[word] for name, word in WORDS.items()},
    }.items():
        column = head.index(str(TERMS[name].title))
        assert sum(int(row[column]) for row in rows) == number, name


def compare_report(client, source, label, loop):
    """Python, the page, JSON, the command."""
    parts = {name: loop[word] for name, word in WORDS.items()}
    report = campaign(source)
    opened = report.opened
    assert (opened.at_least, opened.unique, opened.at_most) == (
        loop["confirmed"],
        loop["opened"],
        loop["opened"] + loop["machine only"],
    )
    response = client.get(report_url(source))
    text_of(response)
    steps = {step.name: step for step in response.context["steps"]}
    assert steps["Opened"].text == formatting.count(loop["opened"])
    assert formatting.opens(loop["opens"]) in steps["Opened"].lines
    assert steps["Clicked"].text == formatting.count(loop["clicked"])
    legend = {one["label"]: one["text"] for one in response.context["opened"]["legend"]}
    for name, number in parts.items():
        assert legend.get(str(TERMS[name].title), "0") == formatting.count(number), name
    files = [json.loads(client.get(report_url(source, "report.json")).content)]
    files.append(json.loads(command("--source", label, "--json")))
    for found in files:
        assert {name: found["opened"][name] for name in WORDS} == parts
        assert found["opened"]["unique"] == loop["opened"]
        assert found["clicked"]["unique"] == loop["clicked"]
        for name in ("open_rate", "open_rate_at_least", "open_rate_at_most", "click_rate"):
            assert found[name] == (None if not loop["sent"] else found[name])
            assert 0 <= (found[name] or 0) <= 1
    said = told(command("--source", label))
    assert {name: said[str(TERMS[name].title)] for name in WORDS} == parts
    assert said[str(TERMS["opened"].title)] == loop["opened"]


def compare_recipients(client, source, loop):
    """Python, the tabs, and the CSV file of each."""
    expected = {**loop["states"], **loop["groups"]}
    numbers = recipients(source).numbers
    assert {name: n for name, n in numbers.items() if n and name != "all"} == expected
    response = client.get(report_url(source))
    tabs = {str(tab["text"]): tab["number"] for tab in response.context["states"]}
    for chosen in (*State, *Group):
        number = expected.get(chosen.value, 0)
        assert tabs[str(chosen.label)] == formatting.count(number), chosen
        file = client.get(report_url(source, "recipients.csv"), {"state": chosen.value})
        assert len(read(file)) - 1 == number, chosen
    listed = json.loads(client.get(report_url(source, "report.json")).content)["recipients"]
    for state in State:
        assert sum(one["state"] == state for one in listed) == expected.get(state.value, 0)


def read(parts):
    """Return the rows of a file, which is a response or lines."""
    text = "".join(part if isinstance(part, str) else part.decode() for part in parts)
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def command(*arguments):
    out = StringIO()
    call_command("tracking_report", *arguments, stdout=out)
    return out.getvalue()


def told(text):
    """Return the whole numbers of the lines of a text, by the words before them."""
    found = {}
    for line in text.splitlines():
        words, _space, rest = line.strip().partition("  ")
        number = rest.split()[0] if rest else ""
        if number.isdecimal():
            found.setdefault(words.strip(), int(number))
    return found


@pytest.fixture
def letter():
    return Affiliate.objects.create(name="Leaf Letter")


def subscribers(number):
    return [Subscriber.objects.create(email=f"{n}@mail.example") for n in range(number)]


def test_a_recipient_has_the_strongest_state_whatever_the_order(letter):
    readers = subscribers(5)
    did = [
        [(Kind.OPEN, APPLE), (Kind.OPEN, GMAIL), (Kind.CLICK, BROWSER), (Kind.OPEN, BROWSER)],
        [(Kind.CLICK, BROWSER), (Kind.OPEN, GMAIL), (Kind.OPEN, APPLE)],
        [(Kind.OPEN, APPLE), (Kind.CLICK, BROWSER)],
        [(Kind.CLICK, "SomeScanner-Bot/1.0"), (Kind.OPEN, APPLE)],
        [],
    ]
    for backwards in (False, True):
        Beacon.objects.all().delete()
        write([hit(Kind.SENT, letter, reader, "", ago=120) for reader in readers])
        for reader, some in zip(readers, did, strict=True):
            order = reversed(some) if backwards else some
            write(
                [
                    hit(kind, letter, reader, agent, ago=60 - n)
                    for n, (kind, agent) in enumerate(order)
                ]
            )
        states = {row.entity: row.state for row in recipients(letter).rows}
        assert [states[Reference.to(reader)] for reader in readers] == list(State)
        report = campaign(letter)
        assert report.clicked.unique == 3  # a scanner's click is none
        assert (report.opened.at_least, report.opened.unique, report.opened.at_most) == (1, 3, 4)


def test_without_a_sending_there_is_no_rate_instead_of_none_of_them(letter, admin_client):
    write([hit(Kind.OPEN, letter, reader) for reader in subscribers(2)])
    report = campaign(letter)
    assert (report.reached, report.open_rate, report.open_rate_at_most) == (None, None, None)
    assert "no data" in campaign_text(report)
    html = text_of(admin_client.get(report_url(letter)))
    assert "2 opened: at least 2, at most 2. No sending was recorded" in html
    assert "of sent" not in html
    assert "tracking-aside" not in html[html.index("tracking-opened-parts") :].split("</dl>")[0]


def test_rates_are_shares_of_those_whom_it_reached_and_at_most_all(letter):
    readers = subscribers(6)
    write([hit(Kind.SENT, letter, reader, "") for reader in readers[:4]])
    write([hit(Kind.OPEN, letter, reader, GMAIL) for reader in readers[:2]])
    assert campaign(letter).open_rate == 2 / 4
    write([hit("delivered", letter, reader, "") for reader in readers[:3]])
    assert campaign(letter).open_rate == 2 / 3
    write([hit("bounced", letter, readers[3], ""), hit("bounced", letter, readers[2], "")])
    assert campaign(letter).open_rate == 2 / 2
    write([hit(Kind.OPEN, letter, reader) for reader in readers[4:]])  # it was forwarded
    report = campaign(letter)
    assert (report.opened.unique, report.open_rate, report.open_rate_at_most) == (4, 1, 1)
    assert report.click_to_open == 0
    write([hit("bounced", letter, reader, "") for reader in readers])
    assert campaign(letter).open_rate is None


class TestCountsFromBefore:
    """Days that an older version counted, and whose rows have been deleted since."""

    @pytest.fixture
    def days(self, letter):
        """An old day and a new one, with a confirmed and a proxied open on each."""
        anna, ben = subscribers(2)
        days = [date(2026, 3, 28), date(2026, 3, 29)]
        for day in days:
            noon = start_of(day) + timedelta(hours=12)
            write([hit(Kind.OPEN, letter, anna, time=noon)])
            write([hit(Kind.OPEN, letter, ben, GMAIL, time=noon)])
        roll_up()
        old = DailyCount.objects.filter(day=days[0], facet__in=["opened", "hourly_opened"])
        assert old.count() == 4
        old.delete()
        end = start_of(days[1]) - timedelta(seconds=1)
        completeness.note_deletion("beacon", end, "default")
        Beacon.objects.filter(time__lte=end).delete()
        return days

    def test_they_keep_their_number_and_the_report_says_so(self, days, admin_client):
        old, new = days
        figures = overview(Period.custom(old, old)).figures
        assert (figures["daily_unique_opens"].value, figures["opens"].value) == (1, 2)
        report = overview(Period.custom(old, new))
        assert report.figures["daily_unique_opens"].value == 3
        assert not report.has_all_opened
        [note] = [note for note in report.notes() if "confirmed opens" in note]
        assert note in overview_text(report)
        asked = {"period": "custom", "first": old.isoformat(), "last": new.isoformat()}
        assert note in text_of(admin_client.get(OVERVIEW, asked))
        points = overview(Period.custom(old, old)).series["daily_unique_opens"].points
        assert sum(point.value for point in points) == 1

    def test_they_are_not_compared_with_days_that_count_more(self, days):
        _old, new = days
        report = overview(Period.custom(new, new))
        figure = report.figures["daily_unique_opens"]
        assert (figure.value, figure.before) == (2, None)
        assert report.has_all_opened
        assert report.figures["opens"].before == 2

    def test_counting_again_leaves_them_as_they_are(self, days):
        old, new = days
        roll_up(rebuild=True)
        report = overview(Period.custom(old, new))
        assert report.figures["daily_unique_opens"].value == 3
