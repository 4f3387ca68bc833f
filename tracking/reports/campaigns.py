"""The report about a mailing: any object that beacons have as their source.

    report = campaign(affiliate)
    report.opened.confirmed, report.clicked.unique, report.click_to_open

What a recipient is, and opened and clicked: :mod:`tracking.rollups.metric_definitions`.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Model
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext, gettext_lazy

from tracking import generic_references
from tracking.enrichment.country_names import country_name
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Kind, Reference
from tracking.reports.delivery import DeliveryReport, delivery
from tracking.reports.figures import OTHER_VALUES, Listing, Point, Row, Text, share
from tracking.reports.filters import spelled, type_of
from tracking.reports.goals import Goal, reached_goals, total_value
from tracking.reports.periods import Bucket
from tracking.rollups import read, source_counts
from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.days import DAY, Intervals, day_of, span, start_of, zone_name
from tracking.rollups.metric_definitions import (
    OPEN_OR_CLICK,
    TERMS,
    OpenedParts,
    opened_parts,
    reached,
)
from tracking.rollups.source_counts import SourceKey

#: The time after sending that is shown by quarter of an hour.
FIRST_HOURS = timedelta(hours=24)

#: The maximum number of days of a campaign: ten years. Earlier ones are left out.
MAX_DAYS = 3_660


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Who opened a message. Nobody is in two of the four parts.

    Nobody knows the exact number: it is in the range from :attr:`at_least` to :attr:`at_most`.

    Attributes:
        confirmed: recipients who loaded the image themselves.
        proxied: recipients for whom only their mail provider loaded it.
        without_image: recipients who clicked, and neither loaded it.
        machine: recipients for whom only machines loaded it or followed a link. They are not
            counted as opened.
        confirmed_total: images loaded by people.
        proxied_total: images loaded by mail proxies.
        machine_total: images loaded by machines.
    """

    confirmed: int
    proxied: int
    without_image: int
    machine: int
    confirmed_total: int
    proxied_total: int
    machine_total: int

    @property
    def parts(self) -> OpenedParts:
        """The four parts."""
        return OpenedParts(self.confirmed, self.proxied, self.without_image, self.machine)

    @property
    def unique(self) -> int:
        """Recipients who opened: confirmed, proxied and without image."""
        return self.parts.unique

    @property
    def at_least(self) -> int:
        """Recipients who opened beyond doubt: the confirmed ones."""
        return self.parts.at_least

    @property
    def at_most(self) -> int:
        """Recipients who may have opened: those of machines, too."""
        return self.parts.at_most

    @property
    def total(self) -> int:
        """Images loaded by people, or by mail proxies for them."""
        return self.confirmed_total + self.proxied_total

    def as_dict(self) -> dict[str, int]:
        """Return it as JSON values."""
        names = ("unique", "at_least", "at_most", "total")
        return {**{name: getattr(self, name) for name in names}, **asdict(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clicked:
    """Who followed a link.

    Attributes:
        unique: recipients who followed one themselves.
        total: links followed by people.
        machine: recipients for whom only machines did, such as mail scanners.
        machine_total: links followed by machines.
    """

    unique: int
    total: int
    machine: int
    machine_total: int

    def as_dict(self) -> dict[str, int]:
        """Return it as JSON values."""
        names = ("unique", "total", "machine", "machine_total")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Opens and clicks over time.

    Attributes:
        opens: images loaded, by bucket.
        clicks: links followed, by bucket.
    """

    opens: tuple[Point, ...]
    clicks: tuple[Point, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "opens": [point.as_dict() for point in self.opens],
            "clicks": [point.as_dict() for point in self.clicks],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """The report about one source object.

    Attributes:
        source: the source object.
        name: its name, from the site's own object: escape it.
        time_zone: the time zone of the days.
        sent_at: the time of the first sent message, or ``None`` if no sending was recorded.
        began_at: ``sent_at``, else the time of the first beacon, or ``None`` if there is none.
        last_at: the time of the last beacon, or ``None``.
        sent: recipients to whom it was sent, or ``None`` if no sending was recorded.
        delivered: recipients to whom it was delivered, or ``None`` if that was not recorded.
        bounced: recipients for whom it bounced, or ``None`` if that was not recorded.
        delivery: what became of the messages, by mailbox provider.
        opened: who opened it.
        clicked: who followed a link.
        goal: who did anything that the site reports as its event, or ``None`` if nobody did.
        goals: who reached each of ``TRACKING_GOALS``.
        quarters: the first 24 hours by quarter of an hour.
        days: all days, from the first to the last of any beacon (or today). Months, if the days
            of some are no longer counted one by one.
        links: clicks by URL, with ``clicked`` (recipients) as a further number.
        countries: opens and clicks of people by country.
        clients: the same by browser and system.
    """

    source: Reference
    name: str
    time_zone: str
    sent_at: datetime | None
    began_at: datetime | None
    last_at: datetime | None
    sent: int | None
    delivered: int | None
    bounced: int | None
    delivery: DeliveryReport
    opened: Opened
    clicked: Clicked
    goal: Goal | None
    goals: tuple[Goal, ...]
    quarters: Timeline
    days: Timeline
    links: Listing
    countries: Listing
    clients: Listing

    @property
    def reached(self) -> int | None:
        """Recipients whom the mailing reached, of whom all rates are shares.

        ``None`` if nothing was sent: then there is no rate, which is not 0.
        """
        return reached(self.sent, self.delivered, self.bounced)

    @property
    def open_rate(self) -> float | None:
        """Recipients who opened the mailing, as a share of all it reached, 0 to 1."""
        return self.rate(self.opened.unique)

    @property
    def open_rate_at_least(self) -> float | None:
        """The share that opened it beyond doubt, 0 to 1."""
        return self.rate(self.opened.at_least)

    @property
    def open_rate_at_most(self) -> float | None:
        """The share that may have opened it, 0 to 1."""
        return self.rate(self.opened.at_most)

    @property
    def click_rate(self) -> float | None:
        """Recipients who clicked, as a share of all the mailing reached, 0 to 1."""
        return self.rate(self.clicked.unique)

    def rate(self, number: int) -> float | None:
        """Return a number of recipients as a share of all the mailing reached, 0 to 1.

        More than it reached may have opened it: who forwards a mail brings further readers.
        """
        part = share(number, self.reached)
        return None if part is None else min(part, 1.0)

    @property
    def click_to_open(self) -> float | None:
        """Share of the recipients who opened it that clicked, 0 to 1."""
        return share(self.clicked.unique, self.opened.unique)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "source": f"{self.source.label}:{self.source.pk}",
            "name": self.name,
            "time_zone": self.time_zone,
            "sent_at": _iso(self.sent_at),
            "began_at": _iso(self.began_at),
            "last_at": _iso(self.last_at),
            "sent": self.sent,
            "delivered": self.delivered,
            "bounced": self.bounced,
            "reached": self.reached,
            "delivery": self.delivery.as_dict(),
            "opened": self.opened.as_dict(),
            "clicked": self.clicked.as_dict(),
            "goal": self.goal and self.goal.as_dict(),
            "goals": [goal.as_dict() for goal in self.goals],
            "open_rate": self.open_rate,
            "open_rate_at_least": self.open_rate_at_least,
            "open_rate_at_most": self.open_rate_at_most,
            "click_rate": self.click_rate,
            "click_to_open": self.click_to_open,
            "quarters": self.quarters.as_dict(),
            "days": self.days.as_dict(),
            "links": self.links.as_dict(),
            "countries": self.countries.as_dict(),
            "clients": self.clients.as_dict(),
        }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def campaign(source: Model | Reference, now: datetime | None = None) -> Campaign:
    """Return the report about a source object.

    Args:
        source: a saved row of any model, or its reference.
        now: the current time (aware).

    Raises:
        LookupError: if the site has no such model.
        ValueError: if the row is not saved.
    """
    now = now or datetime.now(UTC)
    reference = source if isinstance(source, Reference) else Reference.to(source)
    source_key = SourceKey(type_of(reference).pk, reference.pk)
    name = _name(reference, source if isinstance(source, Model) else None)
    known = read.read_source(source_key, day_of(now), MAX_DAYS)
    actions = _column(known.by_value["actions"], "uniques")
    kinds = _by_value(known.by_day["kinds"], "total")
    sent_at = known.times.get(source_counts.SENT)
    began_at = sent_at or known.times.get(source_counts.FIRST)
    return Campaign(
        source=reference,
        name=name,
        time_zone=zone_name(),
        sent_at=sent_at,
        began_at=began_at,
        last_at=known.times.get(source_counts.LAST),
        sent=actions["sent"] or None,
        delivered=actions["delivered"] or None,
        bounced=actions["bounced"] or None,
        delivery=delivery(_column(known.by_value["delivery"], "uniques")),
        opened=_opened(actions, kinds),
        clicked=_clicked(actions, kinds),
        goal=_goal(actions, kinds, known),
        goals=reached_goals(known.by_value),
        quarters=_quarters(source_key, began_at, known, now),
        days=_days(known, now),
        links=_links(known.by_value["clicked_links"]),
        countries=_countries(known.by_value["countries"]),
        clients=_clients(known.by_value["clients"]),
    )


def was_observed(source: Reference) -> bool:
    """Return whether a source object has any beacon or count.

    Args:
        source: its reference.

    Raises:
        LookupError: if the site has no such model.
    """
    source_key = SourceKey(type_of(source).pk, source.pk)
    return source_counts.source_beacons(source_key).exists() or read.has_counts(source_key)


def _name(reference: Reference, instance: Model | None) -> str:
    if instance is None:
        instance = generic_references.in_bulk([reference]).get(reference)
    return f"{reference.label} {reference.pk}" if instance is None else str(instance)


def _by_value(counted: Mapping[tuple[date, str], Counts], column: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for (_day, value), numbers in counted.items():
        sums[value] += getattr(numbers, column)
    return sums


def _column(sums: Mapping[str, Counts], column: str) -> Counter[str]:
    return Counter({value: getattr(numbers, column) for value, numbers in sums.items()})


def _opened(actions: Counter[str], kinds: Counter[str]) -> Opened:
    totals = {label: kinds[f"{Kind.OPEN.value} {label}"] for label in Label.values}
    people, proxies = totals.pop(Label.HUMAN.value), totals.pop(Label.PROXY.value)
    return Opened(
        **opened_parts(actions)._asdict(),
        confirmed_total=people,
        proxied_total=proxies,
        machine_total=sum(totals.values()),
    )


def _clicked(actions: Counter[str], kinds: Counter[str]) -> Clicked:
    totals = {label: kinds[f"{Kind.CLICK.value} {label}"] for label in Label.values}
    people = totals.pop(Label.HUMAN.value)
    return Clicked(
        unique=actions["clicked"],
        total=people,
        machine=actions["any_click"] - actions["clicked"],
        machine_total=sum(totals.values()),
    )


def _goal(actions: Counter[str], kinds: Counter[str], known: read.SourceCounts) -> Goal | None:
    total = kinds[f"{Kind.EVENT.value} {Label.HUMAN.value}"]
    if not total:
        return None
    value = total_value(known.by_value)
    return Goal(unique=actions["converted"], total=total, value=value)


def _timeline(
    totals: Mapping[tuple[int, str], int],
    intervals: Intervals,
    days: Iterable[date],
    now: datetime,
    last_days: Iterable[date] | None = None,
) -> Timeline:
    """Return opens and clicks over time.

    Args:
        totals: opens and clicks by index of the interval and kind.
        intervals: the intervals.
        days: the day of each, or its first.
        now: the current time (aware).
        last_days: the last day of each, if it may have several.
    """
    firsts = list(days)
    lasts = firsts if last_days is None else list(last_days)
    ends = [*intervals.starts[1:], intervals.end]
    buckets = [
        Bucket(
            start=start,
            end=end,
            first=first,
            last=last,
            is_unfinished=end > now,
            is_future=start > now,
        )
        for start, end, first, last in zip(intervals.starts, ends, firsts, lasts, strict=True)
    ]

    def points(kind: str) -> tuple[Point, ...]:
        return tuple(
            [
                Point(
                    bucket=bucket,
                    value=None if bucket.is_future else totals.get((interval, kind), 0),
                )
                for interval, bucket in enumerate(buckets)
            ]
        )

    return Timeline(opens=points(Kind.OPEN.value), clicks=points(Kind.CLICK.value))


_NEVER = Timeline(opens=(), clicks=())


def _days(known: read.SourceCounts, now: datetime) -> Timeline:
    kinds = known.by_day["kinds"]
    if not kinds:
        return _NEVER
    totals: dict[tuple[int, str], int] = defaultdict(int)
    for (day, value), numbers in kinds.items():
        if value in OPEN_OR_CLICK:
            kind, _space, _label = value.partition(" ")
            totals[(day - known.first).days, kind] += numbers.total
    if known.first < known.single:
        return _months(totals, known, now)
    days = span(known.first, known.last)
    return _timeline(totals, Intervals.of_days(known.first, known.last), days, now)


def _months(
    totals: Mapping[tuple[int, str], int], known: read.SourceCounts, now: datetime
) -> Timeline:
    """Return opens and clicks by month, where days of some are no longer counted one by one."""
    days = span(known.first, known.last)
    firsts = [day for day in days if day == known.first or day.day == 1]
    lasts = [*(day - DAY for day in firsts[1:]), known.last]
    sums: Counter[tuple[int, str]] = Counter()
    for (number, kind), total in totals.items():
        sums[bisect_right(firsts, days[number]) - 1, kind] += total
    intervals = Intervals([start_of(day) for day in firsts], start_of(known.last + DAY))
    return _timeline(sums, intervals, firsts, now, lasts)


def _quarters(
    source_key: SourceKey, began_at: datetime | None, known: read.SourceCounts, now: datetime
) -> Timeline:
    if began_at is None:
        return _NEVER
    start = first_quarter(began_at)
    intervals = Intervals.steps(start, start + FIRST_HOURS, source_counts.QUARTER)
    totals = read.quarters(source_key, intervals, known)
    return _timeline(totals, intervals, map(day_of, intervals.starts), now)


def first_quarter(began_at: datetime) -> datetime:
    """Return the start of the quarter of an hour that contains a time (aware, UTC).

    Args:
        began_at: the time, aware or naive as columns have it.
    """
    local = began_at if began_at.tzinfo else began_at.replace(tzinfo=get_default_timezone())
    utc = local.astimezone(UTC)
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)


def _listing(
    name: str,
    title: Text,
    column: Text,
    sums: Mapping[str, Counts],
    *,
    filter_key: str = "",
    label: Callable[[str], str] = str,
    has_uniques: bool = False,
) -> Listing:
    """Return a list of all values, the largest first."""
    values = [item for item in sums.items() if item[0] != OTHER]
    whole = sum(numbers.total for numbers in sums.values())

    def line(numbers: Counts, value: str, label: str, **filtered: str) -> Row:
        return Row(
            value=value,
            label=label,
            figure=numbers.total,
            share=share(numbers.total, whole),
            numbers={"clicked": numbers.uniques} if has_uniques else {},
            **filtered,
        )

    rows = tuple(
        line(
            numbers,
            value,
            label(value) if value.strip(" /") else gettext("Unknown"),
            filter_key=filter_key,
            filter_value=spelled(value) if filter_key else "",
        )
        for value, numbers in sorted(values, key=lambda item: (-item[1].total, item[0]))
    )
    other = line(sums[OTHER], "", str(OTHER_VALUES)) if OTHER in sums else None
    return Listing(
        name=name,
        title=title,
        column=column,
        rows=rows,
        total=len(rows),
        whole=whole,
        other=other,
    )


def _links(sums: Mapping[str, Counts]) -> Listing:
    return _listing(
        "links",
        gettext_lazy("Links"),
        TERMS["clicks"].title,
        sums,
        filter_key="link",
        has_uniques=True,
    )


def _countries(sums: Mapping[str, Counts]) -> Listing:
    return _listing(
        "countries",
        gettext_lazy("Countries"),
        _HITS,
        sums,
        filter_key="country",
        label=country_name,
    )


def _clients(sums: Mapping[str, Counts]) -> Listing:
    return _listing("clients", gettext_lazy("Mail clients"), _HITS, sums)


_HITS = gettext_lazy("Opens and clicks")
