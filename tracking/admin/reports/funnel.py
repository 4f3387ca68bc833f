"""The way of a mailing from sending to the goal, in one line."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext

from tracking.admin import charts, formatting
from tracking.admin.charts import Part
from tracking.admin.charts.bars import swatch
from tracking.reports.campaigns import Campaign
from tracking.reports.parts import share


class Step(NamedTuple):
    """A step of the way.

    Attributes:
        name: what it is called.
        text: how many recipients have come so far.
        lines: what else there is to say in short: the rate, the number in all.
        hint: what is counted.
        why: why it is not known, or ``""``.
    """

    name: str
    text: str
    lines: Sequence[str]
    hint: str
    why: str = ""


def steps(report: Campaign) -> list[Step]:
    """Return the steps of a mailing; what the site says nothing about is left out."""
    return [step for step in (_sent(report), *_reached(report)) if step is not None]


def _sent(report: Campaign) -> Step:
    return Step(
        gettext("Sent"),
        formatting.count(report.sent),
        [],
        gettext("Recipients to whom a message went out."),
        "" if report.sent else gettext("No sending was recorded."),
    )


def _reached(report: Campaign) -> Iterator[Step]:
    if report.delivered is not None:
        hint = gettext("Recipients for whom it has arrived, as your site or its sender says.")
        yield _step(report, gettext("Delivered"), report.delivered, None, hint)
    opened = gettext("Recipients whose own program loaded the image, each counted once.")
    yield _step(report, gettext("Opened"), report.opened.confirmed, report.opened.total, opened)
    clicked = gettext("Recipients who followed a link themselves, each counted once.")
    step = _step(report, gettext("Clicked"), report.clicked.unique, report.clicked.total, clicked)
    yield step._replace(lines=[*step.lines, *_of_those_who_saw(report)])
    if report.goal is not None:
        hint = gettext("Recipients who did what your site reports as its event.")
        yield _step(report, gettext("Goal"), report.goal.unique, report.goal.total, hint)


def _of_those_who_saw(report: Campaign) -> Iterator[str]:
    if report.click_to_open is not None:
        yield gettext("%s of those who saw it") % formatting.rate(report.click_to_open)
    if report.clicked.machine:
        text = gettext("and %s by machines only")
        yield text % formatting.count(report.clicked.machine)


def _step(report: Campaign, name: str, count: int, total: int | None, hint: str) -> Step:
    part = share(count, report.sent)
    lines = [] if part is None else [gettext("%s of sent") % formatting.rate(part)]
    if total is not None:
        lines.append(gettext("%s in all") % formatting.count(total))
    return Step(name, formatting.count(count), lines, hint)


def opened_bar(report: Campaign) -> dict[str, Any]:
    """Return who has opened a mailing: confirmed, through a proxy, and machines only."""
    opened = report.opened
    kinds = [
        ("confirmed", gettext("Confirmed"), opened.confirmed),
        ("proxied", gettext("Proxied"), opened.proxied),
        ("machine", gettext("Machine"), opened.machine),
    ]
    told = opened.confirmed + opened.proxied + opened.machine
    whole = max(report.sent or 0, told)
    parts = [Part(key, label, count, formatting.count(count)) for key, label, count in kinds]
    legend = [
        {
            "swatch": swatch("opened", part.key),
            "label": part.label,
            "text": part.text,
            "rate": formatting.rate(share(part.value, whole)),
        }
        for part in parts
    ]
    rest = whole - told
    if rest:
        none = {
            "swatch": swatch("opened", "rest"),
            "label": gettext("No image loaded"),
            "text": formatting.count(rest),
            "rate": formatting.rate(share(rest, whole)),
        }
        legend.append(none)
    title = gettext("Who loaded the image, of %s recipients") % formatting.count(whole)
    return {"bar": charts.parted(parts, whole, id="opened", title=title), "legend": legend}
