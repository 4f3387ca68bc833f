"""Ban lists as files: read lists in many forms, and write CSV with reason and expiry.

    network,reason,expires_at
    192.0.2.7
    # from the abuse desk
    2001:db8::/32,Scrapes the shop,2026-12-31T00:00:00+00:00

:func:`parse_lines` reads what :func:`export_bans` writes, and the public lists and other forms
that :mod:`tracking.bans.list_formats` knows.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils import timezone

from tracking.bans.bulk_ban import BanEntry
from tracking.bans.list_formats import COLUMNS, ListReader
from tracking.csv_cells import guard
from tracking.db.chunks import read_in_chunks
from tracking.models.bans import BannedIPQuerySet


class InvalidLine(NamedTuple):
    """A line that cannot be read.

    Attributes:
        line: the number of the line, from 1.
        text: the start of the line.
        why: what is wrong, as a translated sentence.
    """

    line: int
    text: str
    why: str


def parse_lines(lines: str | Iterable[str]) -> Iterator[BanEntry | InvalidLine]:
    """Yield the bans or the error of each line. Blank lines, comments and headers are skipped.

    Args:
        lines: a string, or an iterable of lines such as an open file.
    """
    if isinstance(lines, str):
        lines = io.StringIO(lines, newline=None)
    reader = ListReader()
    for number, line in enumerate(lines, start=1):
        try:
            for ban in reader.read(line):
                yield BanEntry(number, *ban)
        except ValueError as error:
            text = line.strip().removeprefix("\ufeff")[:60]
            yield InvalidLine(number, text.replace("\0", "\N{REPLACEMENT CHARACTER}"), str(error))


def export_bans(rows: BannedIPQuerySet) -> Iterator[str]:
    """Yield the lines of a CSV file, header first. Memory stays bounded.

    Args:
        rows: the bans to export.
    """
    yield ",".join(COLUMNS) + "\r\n"
    for network, reason, expires_at in read_in_chunks(
        rows.with_readable_expiry(), "network", "reason", "expiry"
    ):
        buffer = io.StringIO()
        csv.writer(buffer).writerow(
            [network, guard(" ".join(reason.splitlines())), _format_expiry(expires_at)]
        )
        yield buffer.getvalue()


def _format_expiry(moment: datetime | None) -> str:
    if moment is None:
        return ""
    aware = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    return aware.astimezone(UTC).isoformat(timespec="seconds")
