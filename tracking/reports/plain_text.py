"""Reports as plain text, aligned, for a terminal or a mail."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from tracking.reports.campaigns import Campaign
from tracking.reports.figures import Figure, Listing
from tracking.reports.formatting import (
    change,
    clicks,
    count,
    counts,
    day,
    figure,
    money,
    opens,
    rate,
    rates,
    time,
)
from tracking.reports.overview import Overview
from tracking.rollups.metric_definitions import TERMS, OpenedParts

#: The maximum length of a name. Longer ones are cut.
WIDTH = 48


def overview_text(report: Overview, top: int = 5) -> str:
    """Return an overview as text.

    Args:
        report: the report.
        top: the number of lines of each list.
    """
    period, before = report.period, report.before
    head = [
        _("%(first)s to %(last)s (%(zone)s)")
        % {"first": day(period.first), "last": day(period.last), "zone": period.zone},
    ]
    if before is not None:
        said = {"first": day(before.first), "last": day(before.last)}
        head.append(_("compared with %(first)s to %(last)s") % said)
    head += report.notes()
    non_human = [
        (
            str(each.title),
            f"{opens(each.opens)}, {clicks(each.clicks)}",
        )
        for each in report.non_human
    ]
    blocks = ["\n".join(head), _aligned(_figures(report))]
    if non_human:
        blocks.append(_("Not counted above:") + "\n" + _aligned(non_human))
    blocks += [_list(part, top) for part in report.lists.values() if part.rows]
    return "\n\n".join(blocks) + "\n"


def _figures(report: Overview) -> Iterator[tuple[str, str, str]]:
    for name, one in report.figures.items():
        yield _title(name), figure(one.value, one.unit), _change(one)
        if name == "daily_unique_opens" and report.opened is not None:
            yield _title("range"), counts(report.opened.at_least, report.opened.at_most), ""


def campaign_text(report: Campaign, top: int = 10) -> str:
    """Return the report about a mailing as text.

    Args:
        report: the report.
        top: the number of lines of each list.
    """
    opened, clicked = report.opened, report.clicked
    lines = [
        _line("sent", report.sent),
        _line("delivered", report.delivered),
        *([] if report.bounced is None else [_line("bounced", report.bounced)]),
        _line("opened", opened.unique, _rate(report.open_rate)),
        (_title("range"), "", _range(report)),
        _line("confirmed", opened.confirmed),
        _line("proxied", opened.proxied),
        _line("without_image", opened.without_image),
        _line("machine", opened.machine),
        _line("clicked", clicked.unique, _rate(report.click_rate)),
        (_("Clicked of those who opened"), "", rate(report.click_to_open)),
        *_goals(report),
        _line("opens", opened.total),
        _line("clicks", clicked.total),
    ]
    head = [_plain(report.name)]
    if report.sent_at is not None:
        head.append(_("sent on %s") % time(report.sent_at))
    blocks = ["\n".join(head), _aligned(lines)]
    parts = (report.links, report.countries, report.clients)
    blocks += [_list(part, top) for part in parts if part.rows]
    return "\n\n".join(blocks) + "\n"


def _title(term: str) -> str:
    """Return the title of a figure; that of a part of the one above is indented."""
    return ("  " if term in _PARTS else "") + str(TERMS[term].title)


_PARTS = {"range", *OpenedParts._fields} - {"machine"}


def _line(term: str, number: int | None, share: str = "") -> tuple[str, str, str]:
    return _title(term), count(number), share


def _rate(share: float | None) -> str:
    return _("no data") if share is None else rate(share)


def _range(report: Campaign) -> str:
    if report.open_rate is None:
        return _("no data")
    return rates(report.open_rate_at_least, report.open_rate_at_most)


def _goals(report: Campaign) -> Iterator[tuple[str, str, str]]:
    """Yield a line for each goal, or for all events of a site without goals."""
    if not report.goals:
        goal = report.goal
        yield _line("goal", goal.unique if goal else None)
    for goal in report.goals:
        value = "" if goal.value is None else money(goal.value)
        yield _plain(goal.title), count(goal.unique), value


def _change(of: Figure) -> str:
    found = change(of.value, of.before)
    return "" if found is None else found.text


def _list(part: Listing, top: int) -> str:
    shown = replace(part, rows=part.rows[:top]).lines
    rows = [(_plain(row.label)[:WIDTH], count(row.figure), rate(row.share)) for row in shown]
    head = f"{part.title} ({part.column})"
    return head + "\n" + _aligned(rows)


def _plain(text: str) -> str:
    """Return a text of strangers without control characters, which could command a terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as lines, with the first column aligned left and the others right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
