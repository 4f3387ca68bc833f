"""The command tracking_report: in a terminal and by mail."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.site.models import Affiliate
from tests.support import brute_force
from tracking.hits import Hit, Kind, Reference
from tracking.models import Source
from tracking.recording import write
from tracking.reports import Period, campaign, overview
from tracking.reports.plain_text import campaign_text, overview_text
from tracking.rollups.days import today

pytestmark = pytest.mark.django_db


def said(*arguments):
    out = StringIO()
    call_command("tracking_report", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def mailing():
    source = Source.objects.create(name="Spring \x1b[31mletter", slug="spring")
    day = today() - timedelta(days=2)
    hits = brute_force.traffic(
        day, day, number=200, sources=[Reference.to(source)], entities=brute_force.readers()
    )
    write(hits)
    return source


def last_week():
    last = today() - timedelta(days=1)
    return Period.custom(last - timedelta(days=6), last)


def test_the_last_seven_days_are_printed(mailing):
    text = said()
    report = overview(last_week())
    assert text == overview_text(report) + ("" if text.endswith("\n") else "\n")
    visits = report.figures["visits"].value
    assert visits > 0
    assert any(line.split() == ["Visits", str(visits)] for line in text.splitlines())
    assert "Europe/Berlin" in text
    assert "\x1b" not in text
    told = json.loads(said("--json"))
    assert told["figures"]["visits"]["value"] == visits


def test_columns_are_aligned(mailing):
    lines = overview_text(overview(last_week())).split("\n\n")[1].splitlines()
    assert len(lines) == 14
    ends = {line.rstrip().rfind(line.split()[-1]) + len(line.split()[-1]) for line in lines}
    assert len(ends) == 1


@pytest.mark.parametrize("how", ["spring", "tracking.source:{pk}"])
def test_a_mailing_is_named_by_its_slug_or_key(mailing, how):
    how = how.format(pk=mailing.pk)
    report = campaign(mailing)
    assert said("--source", how) == campaign_text(report)
    told = json.loads(said("--source", how, "--json"))
    assert told["clicked"]["unique"] == report.clicked.unique > 0


def test_the_time_of_sending_is_that_of_the_site():
    source = Source.objects.create(name="Night letter", slug="night")
    sent_at = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    write([Hit(kind=Kind.SENT, source=Reference.to(source), time=sent_at)])
    assert "sent on March 29, 2026, 12:30 a.m. CET\n" in said("--source", "night")


def test_a_deleted_source_has_a_report_while_its_beacons_exist():
    source = Source.objects.create(name="Old letter", slug="old")
    write([Hit(kind=Kind.CLICK, source=Reference.to(source), url="/x", user_agent="curl/8")])
    pk = source.pk
    source.delete()
    assert said("--source", f"tracking.source:{pk}").startswith(f"tracking.source {pk}\n")


def test_any_object_has_a_report():
    source = Affiliate.objects.create(name="Leaf")
    write([Hit(kind=Kind.CLICK, source=Reference.to(source), url="/x", user_agent="curl/8")])
    assert said("--source", f"site.affiliate:{source.pk}").startswith("Leaf\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--source", "nobody"],
        ["--source", "site.affiliate:999999"],
        ["--source", "no.model:1"],
        ["--days", "0"],
        ["--days", "999999999"],
        ["--mail"],
        ["--mail", "--source", "nobody"],
    ],
)
def test_invalid_arguments_are_reported(arguments):
    with pytest.raises(CommandError):
        said(*arguments)
    assert not mail.outbox


def test_it_is_mailed_to_each_alone(mailing):
    with override_settings(TRACKING_REPORT_RECIPIENTS=["a@mail.example", "b@mail.example"]):
        assert said("--mail") == "2 mails sent.\n"
    assert [message.to for message in mail.outbox] == [["a@mail.example"], ["b@mail.example"]]
    message = mail.outbox[0]
    assert message.body == overview_text(overview(last_week()))
    assert "<script" not in message.alternatives[0][0]


def test_an_address_that_is_refused_keeps_the_report_from_nobody_else(mailing, monkeypatch):
    deliver = EmailBackend.send_messages

    def refuse_one(self, messages):
        if messages[0].to == ["gone@mail.example"]:
            raise SMTPRecipientsRefused({"gone@mail.example": (550, b"no such user")})
        return deliver(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", refuse_one)
    addresses = ["gone@mail.example", "b@mail.example"]
    with override_settings(TRACKING_REPORT_RECIPIENTS=addresses):
        with pytest.raises(SMTPRecipientsRefused):
            said("--mail")
    assert [message.to for message in mail.outbox] == [["b@mail.example"]]


def test_the_task_mails_it(mailing):
    from tracking.tasks import mail_report

    with override_settings(TRACKING_REPORT_RECIPIENTS="a@mail.example"):
        mail_report()
    assert len(mail.outbox) == 1
