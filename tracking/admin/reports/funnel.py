"""The funnel of a mailing, from sent to goal, and the bar of who opened it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext, ngettext

from tracking.admin import charts
from tracking.admin.charts import Part
from tracking.admin.charts.bars import swatch
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign
from tracking.reports.figures import share
from tracking.rollups.metric_definitions import TERMS


class Step(NamedTuple):
    """A step of the funnel.

    Attributes:
        name: its title.
        text: the number of recipients who came this far.
        lines: further short texts: the rate, the total.
        hint: what is counted.
        why: why the number is unknown, or ``""``.
    """

    name: str
    text: str
    lines: Sequence[str]
    hint: str
    why: str = ""


def steps(report: Campaign) -> list[Step]:
    """Return the steps of a mailing, without those that the site does not record."""
    return [step for step in (_sent(report), *_reached(report)) if step is not None]


def _sent(report: Campaign) -> Step:
    why = "" if report.sent else gettext("No sending was recorded.")
    title, hint = TERMS["sent"]
    return Step(str(title), formatting.count(report.sent), [], str(hint), why)


def _reached(report: Campaign) -> Iterator[Step]:
    if report.delivered is not None:
        yield _step(report, "delivered", report.delivered)
    opened, clicked = report.opened, report.clicked
    confirmed = gettext("%s confirmed") % formatting.count(opened.confirmed)
    yield _step(report, "opened", opened.unique, confirmed, formatting.opens(opened.total))
    yield _step(
        report,
        "clicked",
        clicked.unique,
        formatting.clicks(clicked.total),
        *_clicked_further(report),
    )
    if report.goal is not None:
        events = ngettext("%s event", "%s events", report.goal.total)
        yield _step(
            report, "goal", report.goal.unique, events % formatting.count(report.goal.total)
        )


def _clicked_further(report: Campaign) -> Iterator[str]:
    if report.click_to_open is not None:
        yield gettext("%s of opened") % formatting.rate(report.click_to_open)
    if report.clicked.machine:
        yield gettext("%s by machines only") % formatting.count(report.clicked.machine)


def _step(report: Campaign, term: str, count: int, *further: str) -> Step:
    title, hint = TERMS[term]
    part = share(count, report.sent)
    lines = [] if part is None else [gettext("%s of sent") % formatting.rate(part)]
    return Step(str(title), formatting.count(count), [*lines, *further], str(hint))


#: The parts of the bar: their terms, which are also attributes of ``Opened``.
_OPENED_PARTS = ("confirmed", "proxied", "without_image", "machine")


def opened_bar(report: Campaign) -> dict[str, Any]:
    """Return the bar of who opened a mailing and how, with its legend and explanations."""
    counts = {name: getattr(report.opened, name) for name in _OPENED_PARTS}
    counts = {name: count for name, count in counts.items() if count or name != "without_image"}
    known = sum(counts.values())
    whole = max(report.sent or 0, known)
    parts = [
        Part(name.replace("_", "-"), str(TERMS[name].title), count, formatting.count(count))
        for name, count in counts.items()
    ]
    shown = [*parts, Part("rest", gettext("Not opened"), whole - known, "")]
    title = gettext("Who opened, of %s recipients") % formatting.count(whole)
    return {
        "bar": charts.parted(parts, whole, id="opened", title=title),
        "legend": [
            {
                "swatch": swatch("opened", part.key),
                "label": part.label,
                "text": formatting.count(part.value),
                "rate": formatting.rate(share(part.value, whole)),
            }
            for part in shown
            if part.value or part.key != "rest"
        ],
        "meanings": [TERMS[name] for name in counts],
    }
