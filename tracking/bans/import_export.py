"""Ban lists as files: an address or network per line, or CSV with reason and expiry.

    network,reason,expires_at
    192.0.2.7
    # from the abuse desk
    2001:db8::/32,Scrapes the shop,2026-12-31T00:00:00+00:00

What :func:`export` writes, :func:`entries_from` reads. So it does the lists of others, which
have a remark behind ``;`` or ``#``, such as Spamhaus DROP.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import Enum
from itertools import islice
from socket import AF_INET, inet_ntop, inet_pton
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.db import connections, router, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from tracking import client_address
from tracking.bans.snapshot import snapshot
from tracking.caching import snapshots
from tracking.db.chunks import read_in_chunks
from tracking.models import BannedIP
from tracking.models.bans import STORABLE_YEARS, BannedIPQuerySet

T = TypeVar("T")

COLUMNS = ("network", "reason", "expires_at")

#: Characters of the longest line that is read: all columns, quoted and with room to spare.
MAX_LINE = 1_000
MAX_REASON = 200

#: Rows that are written by one statement, and looked up by one.
BATCH = 1_000
LOOK_UP = 500

# Spreadsheets take a cell that begins so for a formula. The apostrophe that tells them not to
# is doubled where a text begins with one, so that reading takes off just what writing put on.
_FORMULA = re.compile(r"[=+\-@\t\r']")

# Behind the network only: a reason may have such characters in it.
_REMARK = re.compile(r"""([^,"#;]*)[#;]""")


class Entry(NamedTuple):
    """A line that names a network."""

    line: int
    network: str
    reason: str
    expires_at: datetime | None


class Flaw(NamedTuple):
    """A line that does not.

    Attributes:
        line: its number, from 1.
        text: how it begins.
        why: what is wrong with it, as a sentence for people.
    """

    line: int
    text: str
    why: str


class Known(Enum):
    """What becomes of a ban that is in force, where a list names it too."""

    #: Nothing.
    KEPT = "kept"
    #: It keeps its reason, and ends when the later of both does.
    PROLONGED = "prolonged"
    #: It gets the reason and the expiry of the list.
    REPLACED = "replaced"


class Added(NamedTuple):
    """What became of the networks of a list."""

    #: Those that were let in before.
    new: list[str]
    #: Those that were banned, and have been brought up to date.
    known: list[str]
    #: Those that were banned, and have been left as they were.
    kept: list[str]


def entries_from(lines: str | Iterable[str]) -> Iterator[Entry | Flaw]:
    """Yield what each line says. Blank lines, comments and the header say nothing.

    Args:
        lines: a text, or its lines one by one, such as an open file.
    """
    if isinstance(lines, str):
        lines = io.StringIO(lines, newline=None)
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("\ufeff")
        if remark := _REMARK.match(text):
            text = remark[1].rstrip()
        if not text or text.split(",")[0].strip('" ').lower() == COLUMNS[0]:
            continue
        try:
            yield Entry(number, *_read(text))
        except ValueError as error:
            yield Flaw(number, text[:60].replace("\0", "\N{REPLACEMENT CHARACTER}"), str(error))


def _read(text: str) -> tuple[str, str, datetime | None]:
    """Return the columns of a line.

    Raises:
        ValueError: there is something wrong with it; the message is for people.
    """
    if len(text) > MAX_LINE:
        raise ValueError(_("The line is longer than %d characters.") % MAX_LINE)
    cells = _cells(text) if "," in text or '"' in text else [text]
    if len(cells) > len(COLUMNS):
        raise ValueError(_("There are more than three columns. Quote a reason that has commas."))
    network, reason, expires_at = (*cells, "", "")[: len(COLUMNS)]
    if len(reason) > MAX_REASON:
        raise ValueError(_("The reason is longer than %d characters.") % MAX_REASON)
    return _network(network), reason, _moment(expires_at)


def _cells(text: str) -> list[str]:
    if "\0" in text:
        raise ValueError(_("There is a NUL in the line."))
    # One line at a time: a quote that is left open must not swallow the rest of the file.
    try:
        [cells] = csv.reader([text])
    except (csv.Error, ValueError) as error:
        raise ValueError(_("This is no line of a CSV file.")) from error
    stripped = [cell.strip() for cell in cells]
    return [cell[1:] if cell[:1] == "'" and _FORMULA.match(cell, 1) else cell for cell in stripped]


def _network(text: str) -> str:
    """Return the canonical spelling of a network, as the table has it."""
    try:
        return inet_ntop(AF_INET, inet_pton(AF_INET, text))  # most lines, ten times as fast
    except (OSError, ValueError):
        network = client_address.network_of(text)
    if network is None:
        raise ValueError(_("This is neither an IP address nor a network such as 192.0.2.0/24."))
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def moment_from(text: str) -> datetime | None:
    """Return the time that an ISO 8601 text means, as this site keeps times; ``""`` is none.

    Args:
        text: a date, or a date and time; without offset it is in the site's time zone.

    Raises:
        ValueError: it means none.
    """
    if not text:
        return None
    found = parse_datetime(text)
    if found is None or found.year not in STORABLE_YEARS:
        raise ValueError(text)
    if settings.USE_TZ:
        return timezone.make_aware(found) if timezone.is_naive(found) else found
    return timezone.make_naive(found) if timezone.is_aware(found) else found


def _moment(text: str) -> datetime | None:
    try:
        return moment_from(text)
    except ValueError as error:
        message = _("The expiry is no date or time such as 2026-12-31T18:00:00+01:00.")
        raise ValueError(message) from error


def is_over(entry: Entry) -> bool:
    """Return whether the ban would be over before it begins."""
    return entry.expires_at is not None and entry.expires_at <= timezone.now()


def known(networks: Iterable[str], using: str | None = None) -> dict[str, Entry]:
    """Return the bans in force of those of the networks that are banned.

    Args:
        networks: in their canonical spelling.
        using: the alias of the database; by default where the router reads from.
    """
    rows: Any = BannedIP.objects.using(using).live().with_ends()
    found: dict[str, Entry] = {}
    for some in _batches(networks, LOOK_UP):
        values = rows.filter(network__in=some).values_list("network", "reason", "ends")
        found.update((network, Entry(0, network, *row)) for network, *row in values)
    return found


def _replaced(_network: str) -> Known:
    return Known.REPLACED


def add(entries: Iterable[Entry], rule: Callable[[str], Known] = _replaced) -> Added:
    """Ban all that the entries name, or nothing of it. Of two of one network the last counts.

    Args:
        entries: what is banned.
        rule: returns for a network what becomes of a ban of it that is in force.

    Raises:
        django.db.Error: the database does not take them.
    """
    # Read to the end first: a slow pipe must not keep a transaction open.
    wanted = {entry.network: entry for entry in entries}
    using = router.db_for_write(BannedIP)
    added = Added([], [], [])
    if not wanted:
        return added
    # One transaction, so that other processes load the list once, and not for each batch. It
    # begins with the row that all who change the list write first: so nobody waits for one
    # who waits for them, and none changes what is looked up here.
    with transaction.atomic(using=using):
        snapshots.changed(snapshot.name, using)
        for batch in _batches(wanted.values(), BATCH):
            _add_batch(batch, rule, using, added)
    return added


def _add_batch(batch: list[Entry], rule: Callable[[str], Known], using: str, added: Added) -> None:
    """Write some of the entries, and note in ``added`` what became of them."""
    old = known((entry.network for entry in batch), using)
    written: list[Entry] = []
    for entry in batch:
        network = entry.network
        if network not in old:
            added.new.append(network)
            written.append(entry)
        elif (known_is := rule(network)) is Known.KEPT:
            added.kept.append(network)
        else:
            added.known.append(network)
            written.append(entry if known_is is Known.REPLACED else _prolonged(old[network], entry))
    _upsert(written, using)


def _prolonged(old: Entry, new: Entry) -> Entry:
    ends = [old.expires_at, new.expires_at]
    later = None if None in ends else max(end for end in ends if end is not None)
    return old._replace(expires_at=later)


def _upsert(entries: Iterable[Entry], using: str) -> None:
    target = connections[using].features.supports_update_conflicts_with_target
    BannedIP.objects.using(using).bulk_create(
        [
            BannedIP(network=entry.network, reason=entry.reason, expires_at=entry.expires_at)
            for entry in entries
        ],
        update_conflicts=True,
        update_fields=["reason", "expires_at"],
        unique_fields=["network"] if target else None,
    )


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def export(rows: BannedIPQuerySet) -> Iterator[str]:
    """Yield the lines of a CSV file, the header first, without holding all in memory.

    Args:
        rows: what is exported.
    """
    yield ",".join(COLUMNS) + "\r\n"
    for network, reason, expires_at in read_in_chunks(
        rows.with_ends(), "network", "reason", "ends"
    ):
        buffer = io.StringIO()
        csv.writer(buffer).writerow([network, _safe(reason), _written(expires_at)])
        yield buffer.getvalue()


def _safe(text: str) -> str:
    one_line = " ".join(text.splitlines())
    return f"'{one_line}" if _FORMULA.match(one_line) else one_line


def _written(moment: datetime | None) -> str:
    if moment is None:
        return ""
    aware = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    return aware.astimezone(UTC).isoformat(timespec="seconds")
