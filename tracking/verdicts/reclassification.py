"""Today's rules over opens and clicks of the past.

    done = reclassify(since=date(2026, 3, 1), dry_run=True)
    done.changes[Transition("human", "bot", "calls itself %s")]       # how many

Rules that come with a new version say nothing about older rows until then.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from django.db import router, transaction
from django.db.models import Q

from tracking.conf import conf
from tracking.db.column_values import storable_time
from tracking.enrichment.verdict_reasons import rule_of
from tracking.enrichment.verdict_rules import Label, Verdict, classify
from tracking.hits import Kind
from tracking.models import Beacon
from tracking.rollups.days import DAY, day_of, start_of
from tracking.verdicts.comparison import MEMORY, Change, Found, change, judge
from tracking.verdicts.corrections import correct
from tracking.verdicts.messages import BeaconRow, read

#: Rows that are read and changed at once.
CHUNK_SIZE = 2_000

#: Clicks in bursts that are remembered at most while nothing is changed.
_MAX_REMEMBERED = 10_000


class Transition(NamedTuple):
    """A change of verdicts.

    Attributes:
        before: the label before.
        after: the label after.
        rule: the reason, as the rule has it.
    """

    before: str
    after: str
    rule: str


@dataclass
class Reclassified:
    """What became of the rows so far.

    Attributes:
        rows: opens and clicks read.
        changes: how many verdicts or reasons changed, by what and why.
        kept: rows with a reason that no rule gives, which stay as they are.
        days: the days with changes.
    """

    rows: int = 0
    changes: Counter[Transition] = field(default_factory=Counter)
    kept: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, changes: list[Change]) -> None:
        """Add some changes."""
        for one in changes:
            rule = rule_of(one.after.reason) or one.after.reason
            self.changes[Transition(one.before.label, one.after.label, rule)] += 1
            self.days.add(day_of(one.time))


def reclassify(
    *,
    since: date | None = None,
    until: date | None = None,
    dry_run: bool = False,
    chunk: int = CHUNK_SIZE,
    progress: Callable[[date, Reclassified], object] | None = None,
) -> Reclassified:
    """Judge opens and clicks by today's rules.

    It can be stopped at any time, and run again. Days with changes are noted, so that
    :func:`tracking.rollups.build.roll_up` counts them again. The signal ``verdicts_corrected``
    tells each change.

    Args:
        since: the first day; by default that of the first row.
        until: the last day; by default today.
        dry_run: change nothing.
        chunk: rows that are read and changed at once.
        progress: called after each chunk with the day that it has come to, and what was done.

    Raises:
        ValueError: ``chunk`` is less than 1.
        RuntimeError: called inside a transaction, which would keep all locks to its end.
        django.db.DatabaseError: a query failed; earlier chunks stay changed.
    """
    if chunk < 1:
        raise ValueError(f"A chunk of {chunk} rows: give at least 1.")
    using = router.db_for_write(Beacon)
    with transaction.atomic(using=using, durable=True):
        pass
    window = timedelta(seconds=conf.verdict_window)
    remembered: deque[BeaconRow] = deque(maxlen=_MAX_REMEMBERED if dry_run else 0)
    done = Reclassified()
    for rows in _chunks(since, until, chunk, using):
        ours = [row for row in rows if is_ours(row)]
        found = Found({}, {})
        if window:
            undecided = [row for row in ours if row.is_undecided]
            while remembered and remembered[0].time < rows[0].time - window - MEMORY:
                remembered.popleft()
            found = judge(undecided, using, window, remembered)
        changes = [
            change(row, after) for row in ours if (after := _verdict(row, found)) != _stored(row)
        ]
        remembered.extend(found.bursts())
        done.rows += len(rows)
        done.kept += len(rows) - len(ours)
        done.add(changes if dry_run else correct(changes))
        if progress is not None:
            progress(day_of(rows[-1].time), done)
    return done


def is_ours(row: BeaconRow) -> bool:
    """Return whether the verdict on a beacon is that of a rule. Sites and imports set others."""
    if row.verdict == Label.HUMAN and not row.verdict_reason:
        return True
    return row.verdict in Label.values and rule_of(row.verdict_reason) is not None


def _verdict(row: BeaconRow, found: Found) -> Verdict:
    alone = classify(row.user_agent, is_open=row.kind == Kind.OPEN)
    if alone.label != Label.HUMAN:
        return alone
    return found.verdicts.get(row.id, alone)


def _stored(row: BeaconRow) -> Verdict:
    return Verdict(Label(row.verdict), row.verdict_reason)


def _chunks(
    since: date | None, until: date | None, size: int, using: str
) -> Iterator[list[BeaconRow]]:
    """Yield the opens and clicks of some days, in the order of their times."""
    end = datetime.now(UTC) + DAY if until is None else start_of(until + DAY)
    beacons = Beacon.objects.using(using).filter(
        kind__in=[Kind.OPEN, Kind.CLICK], time__lt=storable_time(end)
    )
    if since is not None:
        beacons = beacons.filter(time__gte=storable_time(start_of(since)))
    beacons = beacons.order_by("time", "pk")
    rows = read(beacons, size)
    while rows:
        yield rows
        if len(rows) < size:
            return
        last = rows[-1]
        after = Q(time__gt=last.time) | Q(time=last.time, pk__gt=last.id)
        rows = read(beacons.filter(after, time__gte=last.time), size)
