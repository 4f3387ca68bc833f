"""The funnel of a mailing, from sent to goal, and the bar of who opened it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext

from tracking.admin import charts
from tracking.admin.charts import Part, Span
from tracking.admin.charts.bars import span_swatch, swatch
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign
from tracking.reports.figures import share
from tracking.reports.goals import Goal
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
    yield _step(report, "opened", opened.unique, *_range(report), formatting.opens(opened.total))
    yield _step(
        report,
        "clicked",
        clicked.unique,
        formatting.clicks(clicked.total),
        *_clicked_further(report),
    )
    if report.goals:
        for goal in report.goals:
            yield _goal(report, goal)._replace(name=goal.title)
    elif report.goal is not None:
        yield _goal(report, report.goal)


def _goal(report: Campaign, goal: Goal) -> Step:
    value = [] if goal.value is None else [formatting.money(goal.value)]
    return _step(report, "goal", goal.unique, formatting.events(goal.total), *value)


def _range(report: Campaign) -> Iterator[str]:
    """Yield the range of the open rate, if there is one."""
    if report.open_rate is not None:
        yield formatting.rates(report.open_rate_at_least, report.open_rate_at_most)


def _clicked_further(report: Campaign) -> Iterator[str]:
    if report.click_to_open is not None:
        yield gettext("%s of opened") % formatting.rate(report.click_to_open)
    if report.clicked.machine:
        yield gettext("%s by machines only") % formatting.count(report.clicked.machine)


def _step(report: Campaign, term: str, count: int, *further: str) -> Step:
    title, hint = TERMS[term]
    part = report.rate(count)
    of = gettext("%s of sent") if report.reached == report.sent else gettext("%s of reached")
    lines = [] if part is None else [of % formatting.rate(part)]
    return Step(str(title), formatting.count(count), [*lines, *further], str(hint))


#: The parts of the bar: their terms, which are also attributes of ``Opened``.
_OPENED_PARTS = ("confirmed", "proxied", "without_image", "machine")


def opened_bar(report: Campaign) -> dict[str, Any]:
    """Return the bar of who opened a mailing and how, with its range, legend and explanations."""
    opened = report.opened
    counts = {name: getattr(opened, name) for name in _OPENED_PARTS}
    counts = {name: count for name, count in counts.items() if count or name != "without_image"}
    whole = max(report.reached or 0, opened.at_most)
    parts = [
        Part(name.replace("_", "-"), str(TERMS[name].title), count, formatting.count(count))
        for name, count in counts.items()
    ]
    rest = whole - opened.at_most
    shown = [*parts, Part("rest", str(TERMS["nothing"].title), rest, formatting.count(rest))]
    names = [*counts, "nothing"]
    title = gettext("Who opened, of %s recipients") % formatting.count(whole)
    span = Span(opened.at_least, opened.unique, opened.at_most)
    return {
        "bar": charts.parted(parts, whole, id="opened", title=title, span=span),
        "sentence": _sentence(report),
        "legend": [
            {
                "swatch": swatch("opened", part.key),
                "label": part.label,
                "text": part.text,
                "rate": "" if report.reached is None else formatting.rate(share(part.value, whole)),
                "meaning": TERMS[name].explanation,
            }
            for name, part in zip(names, shown, strict=True)
            if part.value or part.key != "rest"
        ],
        "range": {
            "swatch": span_swatch(),
            "label": TERMS["range"].title,
            "meaning": TERMS["range"].explanation,
        },
    }


def _sentence(report: Campaign) -> str:
    """Return the range of the open rate in words."""
    opened = report.opened
    if report.open_rate is None:
        text = gettext(
            "%(opened)s opened: at least %(least)s, at most %(most)s. No sending was "
            "recorded, so there is no open rate."
        )
        return text % {
            "opened": formatting.count(opened.unique),
            "least": formatting.count(opened.at_least),
            "most": formatting.count(opened.at_most),
        }
    text = gettext(
        "%(opened)s opened. At least %(least)s did so beyond doubt (confirmed), and at most "
        "%(most)s may have done so (machine only included)."
    )
    return text % {
        "opened": formatting.rate(report.open_rate),
        "least": formatting.rate(report.open_rate_at_least),
        "most": formatting.rate(report.open_rate_at_most),
    }
