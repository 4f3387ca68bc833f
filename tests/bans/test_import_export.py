"""Ban lists as files."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import bans
from tracking.bans import bulk_ban, import_export
from tracking.bans.bulk_ban import BanEntry
from tracking.bans.import_export import InvalidLine
from tracking.caching import snapshots
from tracking.models import BannedIP

TABLE = pytest.mark.django_db


def test_lists_are_read_line_by_line():
    text = (
        "\ufeffnetwork,reason,expires_at\r\n"
        "\n"
        "# a comment, with a comma\r"
        "192.0.2.9/24,  scrapes ,2026-12-31T18:00:00+01:00\n"
        '2001:DB8::0001,"one, ""two"""\n'
        "192.0.2.7\n"
        "192.0.2.8,'=1+1,2026-12-31"
    )
    assert [*import_export.parse_lines(text)] == [
        BanEntry(4, "192.0.2.0/24", "scrapes", datetime(2026, 12, 31, 17, tzinfo=UTC)),
        BanEntry(5, "2001:db8::1", 'one, "two"', None),
        BanEntry(6, "192.0.2.7", "", None),
        BanEntry(7, "192.0.2.8", "=1+1", datetime(2026, 12, 30, 23, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "rubbish",
        "192.0.2.7 is bad",
        "192.0.2.256",
        "192.0.2.7\0",
        "192.0.2.7,a\0b",
        "192.0.2.7,a,b,c",
        "192.0.2.7,,tomorrow",
        "192.0.2.7,,2026-02-30",
        "192.0.2.7,,9999-12-31T23:59:59-12:00",
        "192.0.2.7,,0001-01-01T00:00:00+14:00",
        "192.0.2.7," + "x" * 201,
        "x" * 100_000,
        '"192.0.2.7',
        "=1+1",
        "192.0.2.7,a\rb",
    ],
)
def test_an_invalid_line_is_reported_with_its_number(line):
    first, second, third = import_export.parse_lines(["192.0.2.1", line, "192.0.2.2"])
    if line == '"192.0.2.7':  # a quote that is left open does not swallow the next line
        assert second == BanEntry(2, "192.0.2.7", "", None)
    else:
        assert isinstance(second, InvalidLine)
        assert second.line == 2
        assert second.why
        assert len(second.text) <= 60
        assert "\0" not in second.text
    assert (first.network, third.network) == ("192.0.2.1", "192.0.2.2")


@given(st.lists(st.text(max_size=80), max_size=10))
def test_no_text_breaks_the_reader(lines):
    for found in import_export.parse_lines(lines):
        assert isinstance(found, BanEntry | InvalidLine)


@TABLE
def test_what_is_exported_is_imported_the_same():
    reasons = ["plain", '=HYPERLINK("http://x")', "+1", "-1", "@x", "'=x", "'quoted'", 'a,"b"', ""]
    end = datetime(2030, 1, 1, tzinfo=UTC)
    for number, reason in enumerate(reasons):
        bans.ban(f"192.0.2.{number}", reason, end if number % 2 else None)
    text = "".join(import_export.export_bans(BannedIP.objects.all()))
    for line in text.splitlines()[1:]:
        cell = line.split(",", 1)[1].lstrip('"')
        assert cell[:1] not in set("=+-@\t\r")
    before = dict.fromkeys(BannedIP.objects.values_list("network", "reason", "expires_at"))
    BannedIP.objects.all().delete()
    added = bulk_ban.ban_all(import_export.parse_lines(text))
    assert (len(added.new), len(added.updated)) == (len(reasons), 0)
    assert set(BannedIP.objects.values_list("network", "reason", "expires_at")) == set(before)
    added = bulk_ban.ban_all(import_export.parse_lines(text))
    assert (len(added.new), len(added.updated)) == (0, len(reasons))


@TABLE
def test_reasons_of_several_lines_stay_on_one():
    BannedIP.objects.create(network="192.0.2.7", reason="one\r\ntwo\x0bthree")
    [_header, line] = import_export.export_bans(BannedIP.objects.all())
    assert line == "192.0.2.7,one two three,\r\n"


@TABLE
def test_an_import_brings_known_bans_up_to_date_in_batches(monkeypatch):
    monkeypatch.setattr(bulk_ban, "ROWS_PER_STATEMENT", 3)
    monkeypatch.setattr(bulk_ban, "NETWORKS_PER_QUERY", 2)
    bans.ban("192.0.2.1", "old")
    lines = [f"192.0.2.{n % 8},new {n}" for n in range(10)]
    bulk_ban.ban_all(import_export.parse_lines(lines))
    assert BannedIP.objects.count() == 8
    assert BannedIP.objects.get(network="192.0.2.1").reason == "new 9"
    snapshots.refresh()
    assert bans.is_banned("192.0.2.7")
