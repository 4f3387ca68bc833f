"""The command tracking_partition."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.support.partitioned import NOW, convert, history, hit_at, on_postgresql, parts_of
from tracking import partitions
from tracking.models import Beacon, PageView
from tracking.recording import write


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor == "postgresql", reason="what other databases say")
@pytest.mark.parametrize("options", [[], ["--convert", "--yes"], ["--undo", "--yes"]])
def test_the_command_is_for_postgresql_only_and_says_so(options):
    with pytest.raises(
        CommandError, match="Only PostgreSQL tables can be partitioned; tracking_beacon is in"
    ):
        call_command("tracking_partition", *options)


@on_postgresql
@pytest.mark.django_db
def test_the_command_shows_its_plan_and_asks(calendar, capsys, monkeypatch):
    write(history())
    answers = iter(["no", "yes"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    with pytest.raises(CommandError, match="Nothing changed"):
        call_command("tracking_partition", "--convert", "--table=beacon")
    assert "the partition for everything before 2026-12-01" in capsys.readouterr().out
    assert not partitions.layout(Beacon, "default").is_partitioned
    call_command("tracking_partition", "--convert", "--table=beacon")
    out = capsys.readouterr().out
    assert "New partitions: 2026-12, 2027-01, 2027-02" in out
    assert "tracking_beacon_default" in out
    assert not partitions.layout(PageView, "default").is_partitioned
    call_command("tracking_partition", "--convert", "--table=beacon")  # nothing is asked
    assert "2027-03-01" in capsys.readouterr().out


@on_postgresql
@pytest.mark.django_db
def test_a_dry_run_changes_nothing(calendar, capsys):
    write([*history(), hit_at(NOW + timedelta(days=400))])
    call_command("tracking_partition", "--convert", "--dry-run", "--rewrite")
    out = capsys.readouterr().out
    assert "All rows will be copied into monthly partitions. Hits wait meanwhile." in out
    assert "2025-11, 2025-12, 2026-01" in out
    assert "1 rows have later keys" in out
    assert not partitions.layout(Beacon, "default").is_partitioned
    convert()
    call_command("tracking_partition", "--undo", "--dry-run", "--table=beacon")
    assert "rows will be copied into one table" in capsys.readouterr().out
    calendar[0] += timedelta(days=99)
    call_command("tracking_partition", "--dry-run")
    assert len(parts_of()) == 5


@on_postgresql
@pytest.mark.django_db
def test_nobody_who_could_answer_is_a_no(calendar, monkeypatch):
    def nobody(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(CommandError, match="Nothing changed"):
        call_command("tracking_partition", "--convert")


@on_postgresql
@pytest.mark.django_db
def test_the_command_daily(calendar, capsys):
    call_command("tracking_partition")
    assert "not partitioned" in capsys.readouterr().out
    call_command("tracking_partition", "--convert", "--yes", "--verbosity=0")
    calendar[0] += timedelta(days=31)
    capsys.readouterr()
    call_command("tracking_partition", "--verbosity=0")
    assert capsys.readouterr().out.splitlines() == [
        "Created: tracking_beacon_2027_03",
        "Created: tracking_pageview_2027_03",
    ]
    call_command("tracking_partition", "--undo", "--yes")
    assert capsys.readouterr().out.count("not partitioned") == 2


@pytest.mark.parametrize("options", [["--rewrite"], ["--convert", "--undo"], ["--ahead=0"]])
def test_the_command_refuses_nonsense(options):
    with pytest.raises(CommandError):
        call_command("tracking_partition", *options)
