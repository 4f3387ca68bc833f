"""Reports as plain text, aligned, for a terminal or a mail."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from django.utils.formats import date_format, number_format
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from tracking.reports.campaigns import Campaign
from tracking.reports.overview import Overview
from tracking.reports.parts import Figure, Listing

#: Characters of a name; what is longer is cut.
WIDTH = 48

#: What stands for a number that is not known.
UNKNOWN = "\N{EN DASH}"


def overview_text(report: Overview, top: int = 5) -> str:
    """Return an overview as text.

    Args:
        report: the report.
        top: how many lines of each list.
    """
    period, before = report.period, report.before
    head = [
        _("%(first)s to %(last)s (%(zone)s)")
        % {"first": _date(period.first), "last": _date(period.last), "zone": period.zone},
        _("compared with %(first)s to %(last)s")
        % {"first": _date(before.first), "last": _date(before.last)},
    ]
    figures = [
        (str(figure.title), _value(figure, figure.value), _change(figure))
        for figure in report.figures.values()
    ]
    apart = [
        (
            str(each.title),
            _("%(opens)s opens, %(clicks)s clicks")
            % {"opens": _count(each.opens), "clicks": _count(each.clicks)},
        )
        for each in report.apart
    ]
    blocks = ["\n".join(head), _aligned(figures)]
    if apart:
        blocks.append(_("Not counted above:") + "\n" + _aligned(apart))
    blocks += [_list(part, top) for part in report.lists.values() if part.rows]
    return "\n\n".join(blocks) + "\n"


def campaign_text(report: Campaign, top: int = 10) -> str:
    """Return the report about a mailing as text.

    Args:
        report: the report.
        top: how many lines of each list.
    """
    opened, clicked = report.opened, report.clicked
    lines = [
        (_("Sent"), _known(report.sent), ""),
        (_("Delivered"), _known(report.delivered), ""),
        (_("Opened"), _count(opened.confirmed), _rate(report.open_rate)),
        (_("  through mail proxies"), _count(opened.proxied), ""),
        (_("  by machines only"), _count(opened.machine), ""),
        (_("Clicked"), _count(clicked.unique), _rate(report.click_rate)),
        (_("Clicked of those who opened"), "", _rate(report.click_to_open)),
        (_("Goal"), _known(report.goal.unique if report.goal else None), ""),
        (_("Opens in all"), _count(opened.total), ""),
        (_("Clicks in all"), _count(clicked.total), ""),
    ]
    head = [_plain(report.name)]
    if report.sent_at is not None:
        head.append(_("sent on %s") % _time(report.sent_at))
    blocks = ["\n".join(head), _aligned(lines)]
    parts = (report.links, report.countries, report.clients)
    blocks += [_list(part, top) for part in parts if part.rows]
    return "\n\n".join(blocks) + "\n"


def _list(part: Listing, top: int) -> str:
    rows = [
        (_plain(row.label)[:WIDTH], _count(row.figure), _rate(row.share)) for row in part.rows[:top]
    ]
    head = f"{part.title} ({part.column})"
    return head + "\n" + _aligned(rows)


def _plain(text: str) -> str:
    """Return a text of strangers without what a terminal would take for a command."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of which the first column is aligned to the left, the others to the right."""
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


def _value(figure: Figure, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if figure.unit == "rate":
        return _rate(value)
    if figure.unit == "seconds":
        return _length(value)
    return _count(value)


def _change(figure: Figure) -> str:
    if figure.change is None:
        return ""
    sign = "+" if figure.change > 0 else ""
    return sign + percent(number_format(figure.change * 100, 1))


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(timedelta(seconds=seconds).total_seconds()), 60)
    return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else percent(number_format(value * 100, 1))


def percent(number: str) -> str:
    """Return a number of percents, written already, with the sign for it.

    Args:
        number: in the notation of the active language.
    """
    # Translators: a number of percents; some languages put a space before the sign.
    return gettext("%(number)s%%") % {"number": number}


def _count(value: float) -> str:
    return str(number_format(int(value), force_grouping=True))


def _known(value: int | None) -> str:
    return UNKNOWN if value is None else _count(value)


def _time(moment: datetime) -> str:
    """Return a moment in the time zone of the site, which it names."""
    local = moment.astimezone(get_default_timezone()) if moment.tzinfo else moment
    return f"{date_format(local, 'DATETIME_FORMAT')} {local:%Z}".rstrip()


def _date(day: date) -> str:
    return date_format(day, "DATE_FORMAT")
