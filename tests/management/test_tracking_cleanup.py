"""The command tracking_cleanup."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import models

from tests.support.aged_rows import counts, some_of_each, visitors
from tracking import retention
from tracking.models import Visitor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def receipts_are_kept(settings):
    """What is asked for below is what people look at."""
    settings.TRACKING_RECEIPT_RETENTION = None


def run(capsys, *arguments):
    call_command("tracking_cleanup", *arguments)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_command_says_what_it_has_deleted(capsys):
    visitors(1_234, timedelta(days=2))
    expected = [
        ["visitors", "1,234", "older", "than", "24", "hours"],
        ["page", "views", "0", "older", "than", "395", "days"],
        ["visits", "0", "older", "than", "760", "days"],
        ["beacons", "0", "kept", "forever"],
        ["written", "batches", "0", "kept", "forever"],
        ["sent", "messages", "0", "older", "than", "90", "days"],
        ["unmatched", "events", "0", "older", "than", "7", "days"],
        ["webhook", "messages", "0", "older", "than", "30", "days"],
        ["daily", "counts", "0", "older", "than", "760", "days,", "added", "up", "by", "month"],
    ]
    assert run(capsys, "--dry-run") == [["Would", "be", "deleted:"], *expected]
    assert Visitor.objects.count() == 1_234
    assert run(capsys, "--chunk=100") == [["Deleted:"], *expected]
    assert not Visitor.objects.exists()


def test_the_columns_of_the_command_are_aligned(capsys):
    visitors(1_000, timedelta(days=2))
    call_command("tracking_cleanup")
    lines = capsys.readouterr().out.splitlines()[1:]
    ends = {re.search(r"\d  ", line).end() for line in lines}
    assert len(ends) == 1


def test_the_command_for_some_tables(capsys):
    some_of_each(timedelta(days=1000))
    lines = run(capsys, "--table=visitor", "--table=visit")
    assert [line[0] for line in lines[1:]] == ["visitors", "page", "visits"]
    assert counts() == {"visitor": 0, "visit": 0, "pageview": 0, "beacon": 3}


def test_a_quiet_command(capsys):
    visitors(1, timedelta(days=2))
    assert run(capsys, "--verbosity=0") == []
    assert not Visitor.objects.exists()


def test_the_command_shows_on_a_terminal_how_far_it_is(capsys, monkeypatch):
    visitors(3, timedelta(days=2))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    call_command("tracking_cleanup", "--chunk=1", "--no-color")
    out = capsys.readouterr().out
    assert "\r1 rows deleted\r2 rows deleted\r3 rows deleted\r" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunk=0"], "at least 1"),
        (["--chunk=many"], "invalid"),
        (["--pause=-1"], "0 or more"),
        (["--table=user"], "invalid choice"),
    ],
)
def test_the_command_refuses_nonsense(arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("tracking_cleanup", *arguments)


def test_the_command_explains_a_setting_without_sense(settings):
    settings.TRACKING_VISIT_RETENTION = "760"
    visitors(1, timedelta(days=2))
    with pytest.raises(CommandError, match="TRACKING_VISIT_RETENTION is '760': give a number of"):
        call_command("tracking_cleanup")
    assert Visitor.objects.count() == 1


def test_the_command_says_what_the_site_protects(monkeypatch):
    def protect(**kwargs):
        raise models.ProtectedError("Orders need their visitor.", set())

    monkeypatch.setattr(retention, "clean_up", protect)
    with pytest.raises(CommandError, match=r"^Orders need their visitor\.$"):
        call_command("tracking_cleanup")
