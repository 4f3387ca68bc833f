import gzip
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tracking import bans
from tracking.models import BannedIP, Visitor

pytestmark = pytest.mark.django_db


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command("tracking_ban", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_bans_and_prints_how_many_visitors_are_affected():
    Visitor.objects.create(ip_address="192.0.2.7")
    out, _err = run("192.0.2.9/24", "2001:db8::1", "--reason", "scrapes", "--days", "2")
    assert out.splitlines() == [
        "Banned 192.0.2.0/24: affects 1 current visitor.",
        "Banned 2001:db8::1: affects 0 current visitors.",
    ]
    ban = BannedIP.objects.get(network="192.0.2.0/24")
    assert ban.reason == "scrapes"
    assert abs(ban.expires_at - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name at least one network"),
        (["--remove"], "Name at least one network"),
        (["192.0.2.7", "--list"], "takes no networks"),
        (["rubbish"], "neither"),
        (["192.0.2.7", "--reason", "x" * 201], "200"),
        (["10.1.1.1"], "10.0.0.0/8"),
        (["0.0.0.0/0"], "every address"),
        (["192.0.2.7", "--until", "2001-01-01"], "expiry is in the past"),
        (["192.0.2.7", "--until", "soon"], "not a valid time"),
        (["192.0.2.7", "--hours", "-1"], "expiry is in the past"),
        (["192.0.2.7", "--days", "1e300"], "not a valid time"),
        (["192.0.2.7", "--days", "nan"], "not a valid time"),
        (["128.0.0.0/1"], "large part"),
        (["--import", "-", "--reason", "x" * 201], "200"),
        (["192.0.2.7", "--remove"], "is not banned"),
        (["rubbish", "--remove"], "neither"),
        (["--import", "/missing/file"], "No such file"),
        (["--export", "/missing/file"], "No such file"),
    ],
)
def test_it_says_what_is_wrong(settings, arguments, message):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not BannedIP.objects.exists()


def test_an_end_that_some_database_cannot_give_back_is_refused():
    days = (datetime(9999, 6, 1, tzinfo=UTC) - timezone.now()).days
    with pytest.raises(CommandError, match="Enter a year from 1970 to 9998"):
        run("192.0.2.7", "--days", str(days))
    with pytest.raises(CommandError, match="Enter a year from 1970 to 9998"):
        run("--import", "-", "--days", str(days))


def test_one_slip_and_nothing_is_banned():
    with pytest.raises(CommandError):
        run("192.0.2.7", "0.0.0.0/0")
    assert not BannedIP.objects.exists()


def test_force_bans_anyway(settings):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    run("10.1.1.1", "::/0", "--force")
    assert BannedIP.objects.count() == 2


def test_it_lets_in_again():
    bans.ban("192.0.2.0/24")
    assert run("--remove", "192.0.2.1/24")[0] == "192.0.2.1/24 is no longer banned.\n"
    assert not BannedIP.objects.exists()


def test_the_list_is_aligned():
    bans.ban("192.0.2.0/24", "scrapes")
    bans.ban("2001:db8:1:2:3:4:5:6", "", timezone.now() - timedelta(days=1))
    first, second = run("--list")[0].splitlines()
    assert first.index("never") == second.index("expired")
    assert first.endswith("scrapes")


def test_an_import_reports_what_it_left_out(tmp_path, settings, monkeypatch):
    monkeypatch.setattr("tracking.management.commands.tracking_ban.Command.PROGRESS", 2)
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    bans.ban("192.0.2.7")
    file = tmp_path / "list.csv"
    file.write_text("\ufeffnetwork,reason\n192.0.2.7\n192.0.2.8,scrapes\nrubbish\n10.0.0.1\n")
    out, err = run("--import", str(file))
    assert out == "1 new bans, 1 existing bans, 2 lines skipped.\n"
    assert "Line 4: rubbish: " in err
    assert "Line 5: 10.0.0.1: " in err
    assert "4 lines ..." in err
    assert BannedIP.objects.get(network="192.0.2.8").reason == "scrapes"


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(b"192.0.2.7\n\xff\xfe\n")
    with pytest.raises(CommandError, match="utf-8"):
        run("--import", str(file))
    assert not BannedIP.objects.exists()


def test_what_is_exported_can_be_imported(tmp_path, monkeypatch):
    bans.ban("192.0.2.7", "=1+1")
    file = tmp_path / "list.csv"
    run("--export", str(file))
    out, _err = run("--export")
    assert out.splitlines() == file.read_text().splitlines()
    BannedIP.objects.all().delete()
    monkeypatch.setattr(sys, "stdin", io.StringIO(out))
    run("--import", "-")
    assert BannedIP.objects.get().reason == "=1+1"


def test_the_help_is_readable():
    command = [sys.executable, "-m", "django", "tracking_ban", "--help"]
    shown = subprocess.run(
        [*command, "--settings=tests.settings"], capture_output=True, text=True, check=True
    )
    assert "--until" in shown.stdout


def test_an_import_takes_reason_and_expiry_for_lines_that_have_none(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("192.0.2.7\n192.0.2.8,scrapes\n192.0.2.9,,2090-01-01T00:00:00Z\n")
    run("--import", str(file), "--reason", "DROP", "--days", "30")
    rows = BannedIP.objects.order_by("network")
    assert [ban.reason for ban in rows] == ["DROP", "scrapes", "DROP"]
    days = [round((ban.expires_at - timezone.now()).days) for ban in rows]
    assert days[:2] == [29, 29]
    assert days[2] > 10_000


def test_remarks_behind_a_network_are_skipped(tmp_path):
    file = tmp_path / "drop.txt"
    file.write_text(
        "; Spamhaus DROP List 2026/05/01\n1.10.16.0/20 ; SBL256894\n"
        "192.0.2.7 # one, two\n192.0.2.8,ticket #7; urgent\n"
    )
    out, err = run("--import", str(file))
    assert out == "3 new bans, 0 existing bans, 0 lines skipped.\n"
    assert err == ""
    assert BannedIP.objects.get(network="192.0.2.8").reason == "ticket #7; urgent"


@pytest.mark.parametrize("text", ["", "# nothing\n", "rubbish\n", "192.0.2.7,,2001-01-01\n"])
def test_an_import_of_nothing_fails(tmp_path, text):
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(CommandError, match="0 new bans, 0 existing bans"):
        run("--import", str(file))


def test_an_import_leaves_out_what_is_over(tmp_path):
    bans.ban("192.0.2.7", "for ever")
    file = tmp_path / "list.csv"
    file.write_text("192.0.2.7,,2001-01-01\n192.0.2.8\n")
    out, err = run("--import", str(file))
    assert out == "1 new bans, 0 existing bans, 1 lines skipped.\n"
    assert "expiry is in the past" in err
    assert BannedIP.objects.get(network="192.0.2.7").expires_at is None


def test_it_names_the_ban_that_keeps_out():
    bans.ban("192.0.2.0/24")
    bans.ban("192.0.2.7")
    with pytest.raises(CommandError, match=r"no ban of its own.*: 192\.0\.2\.0/24"):
        run("--remove", "192.0.2.50")
    out, _err = run("--remove", "192.0.2.7")
    assert out == "The ban of 192.0.2.7 is lifted, but it is still blocked by: 192.0.2.0/24\n"


def test_sixteen_networks_of_a_file_do_not_ban_everybody(tmp_path):
    networks = [f"{16 * number}.0.0.0/4" for number in range(16)]
    file = tmp_path / "list.txt"
    file.write_text("\n".join(networks))
    for arguments in (["--import", str(file)], networks):
        with pytest.raises(CommandError, match=r"cover 100 % of 0\.0\.0\.0/0"):
            run(*arguments)
    assert not BannedIP.objects.exists()
    run("--import", str(file), "--force")
    assert BannedIP.objects.count() == 16


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_compressed_list_of_german_excel_is_imported(tmp_path, encoding):
    file = tmp_path / "liste.csv.gz"
    text = "Netz;Grund;Ablauf\r\n192.0.2.7;Müßig;31.12.2090\r\n"
    file.write_bytes(gzip.compress(text.encode(encoding)))
    assert run("--import", str(file)) == ("1 new bans, 0 existing bans, 0 lines skipped.\n", "")
    ban = BannedIP.objects.get()
    assert (ban.network, ban.reason, ban.expires_at.year) == ("192.0.2.7", "Müßig", 2090)


def test_an_import_names_the_forms_that_it_reads(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("192.0.2.7\niptables -A INPUT -s 192.0.2.8 -j DROP\n")
    assert "nginx" in run("--import", str(file))[1]
    file.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\xff")
    with pytest.raises(CommandError, match="nginx"):
        run("--import", str(file))
