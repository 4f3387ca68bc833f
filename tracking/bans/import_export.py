"""Ban lists as files: an address or network per line, or CSV with reason and expiry.

    network,reason,expires_at
    192.0.2.7
    # from the abuse desk
    2001:db8::/32,Scrapes the shop,2026-12-31T00:00:00+00:00

:func:`parse_lines` reads what :func:`export_bans` writes, and public lists with comments after
``;`` or ``#``, such as Spamhaus DROP.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from socket import AF_INET, inet_ntop, inet_pton
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from tracking import client_address
from tracking.bans.bulk_ban import BanEntry
from tracking.csv_cells import guard, unguard
from tracking.db.chunks import read_in_chunks
from tracking.models.bans import STORABLE_YEARS, BannedIPQuerySet
from tracking.models.fields import canonical_form

COLUMNS = ("network", "reason", "expires_at")

#: Characters of the longest line: enough for all columns with quotes.
MAX_LINE_LENGTH = 1_000
MAX_REASON_LENGTH = 200

# Comments follow the network only: a reason may contain these characters.
_COMMENT = re.compile(r"""([^,"#;]*)[#;]""")


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
    """Yield the ban or the error of each line. Blank lines, comments and the header are skipped.

    Args:
        lines: a string, or an iterable of lines such as an open file.
    """
    if isinstance(lines, str):
        lines = io.StringIO(lines, newline=None)
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("\ufeff")
        if comment := _COMMENT.match(text):
            text = comment[1].rstrip()
        if not text or text.split(",")[0].strip('" ').lower() == COLUMNS[0]:
            continue
        try:
            yield BanEntry(number, *_parse_line(text))
        except ValueError as error:
            yield InvalidLine(
                number, text[:60].replace("\0", "\N{REPLACEMENT CHARACTER}"), str(error)
            )


def _parse_line(text: str) -> tuple[str, str, datetime | None]:
    """Return the columns of a line.

    Raises:
        ValueError: the line is invalid; the message is translated.
    """
    if len(text) > MAX_LINE_LENGTH:
        raise ValueError(_("The line is longer than %d characters.") % MAX_LINE_LENGTH)
    cells = _split_cells(text) if "," in text or '"' in text else [text]
    if len(cells) > len(COLUMNS):
        raise ValueError(
            _("There are more than three columns. Put quotes around a reason with commas.")
        )
    network, reason, expires_at = (*cells, "", "")[: len(COLUMNS)]
    if len(reason) > MAX_REASON_LENGTH:
        raise ValueError(_("The reason is longer than %d characters.") % MAX_REASON_LENGTH)
    return _parse_network(network), reason, _parse_expiry_cell(expires_at)


def _split_cells(text: str) -> list[str]:
    if "\0" in text:
        raise ValueError(_("The line contains a NUL character."))
    # One line at a time, so an unclosed quote does not swallow the rest of the file.
    try:
        [cells] = csv.reader([text])
    except (csv.Error, ValueError) as error:
        raise ValueError(_("This is not a valid CSV line.")) from error
    stripped = [cell.strip() for cell in cells]
    return [unguard(cell) for cell in stripped]


def _parse_network(text: str) -> str:
    """Return the canonical form of an address or network, as it is stored."""
    try:
        return inet_ntop(AF_INET, inet_pton(AF_INET, text))  # most lines; ten times faster
    except (OSError, ValueError):
        network = client_address.network_of(text)
    if network is None:
        raise ValueError(_("This is neither an IP address nor a network such as 192.0.2.0/24."))
    return canonical_form(network)


def parse_expiry(text: str) -> datetime | None:
    """Return the time in an ISO 8601 string; ``None`` for ``""``.

    Args:
        text: a date, or a date and time; without a UTC offset, in the site's time zone.

    Returns:
        The time, aware if ``USE_TZ`` is on.

    Raises:
        ValueError: the string is not a time, or the year cannot be stored.
    """
    if not text:
        return None
    found = parse_datetime(text)
    if found is None or found.year not in STORABLE_YEARS:
        raise ValueError(text)
    if settings.USE_TZ:
        return timezone.make_aware(found) if timezone.is_naive(found) else found
    return timezone.make_naive(found) if timezone.is_aware(found) else found


def _parse_expiry_cell(text: str) -> datetime | None:
    try:
        return parse_expiry(text)
    except ValueError as error:
        message = _("The expiry is not a date or time such as 2026-12-31T18:00:00+01:00.")
        raise ValueError(message) from error


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
