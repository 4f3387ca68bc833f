"""Line charts of a series over time, with the previous period as a thin line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from tracking.admin.charts.bars import number
from tracking.admin.charts.scales import Unit, indexes_of_labels, known, ticks
from tracking.reports.formatting import UNKNOWN

#: Width and height of the plot in its own units.
SIDE = 1000

#: A phone shows only every other label if they are longer than this.
LONG = 6

_Line = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A point of a series.

    Attributes:
        label: the short label for the axis.
        name: the full label for the table and the tooltip.
        value: the value, or ``None`` if it is unknown.
        before: the value of the previous period, or ``None`` if it is unknown.
    """

    label: str
    name: str
    value: float | None
    before: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A line chart.

    Attributes:
        id: the prefix of the ids of its elements, unique on the page.
        title: its title.
        description: a sentence for screen readers.
        points: the points in order of time.
        unit: how values are written.
        before: the title of the thin line, or ``""`` if there is none.
        unfinished: the label of the last known point if it is incomplete, or ``""``. It is
            drawn dashed.
    """

    id: str
    title: str
    description: str
    points: Sequence[Point]
    unit: Unit
    before: str = ""
    unfinished: str = ""


def picture(chart: Chart) -> SafeString:
    """Return the chart as SVG."""
    values = [known(point.value) for point in chart.points]
    befores = [known(point.before) if chart.before else None for point in chart.points]
    grid = ticks(max((v for v in (*values, *befores) if v is not None), default=0), chart.unit)
    top = grid[-1]
    width = max(len(chart.unit.axis(tick)) for tick in grid)
    return format_html(
        '<svg class="tracking-chart tracking-axis-{width}" role="img" width="100%" height="240"'
        ' aria-labelledby="{id}-title {id}-desc">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{desc}</desc>'
        "{grid}{labels}"
        '<svg x="0" y="0" width="100%" height="100%" viewBox="0 0 {side} {side}"'
        ' preserveAspectRatio="none" class="tracking-plot">{lines}</svg>'
        "{marks}</svg>",
        width=min(max(width, 1), 12),
        id=chart.id,
        title=chart.title,
        desc=chart.description,
        grid=_grid(grid, chart.unit),
        labels=_labels(chart.points),
        side=SIDE,
        lines=_lines(chart, _placed(values, top), _placed(befores, top)),
        marks=_marks(chart, values, top),
    )


def figure(chart: Chart, *, head: str) -> SafeString:
    """Return the chart with its legend and a table of its numbers, which can be opened.

    Args:
        chart: the chart.
        head: the title of the first column, such as "Day".
    """
    return format_html(
        '<figure class="tracking-chart-box">{}<figcaption class="tracking-legend">{}</figcaption>'
        '<details class="tracking-details"><summary>{}</summary>'
        '<div class="tracking-scroll" tabindex="0" role="region" aria-label="{}">{}</div>'
        "</details></figure>",
        picture(chart),
        _legend(chart),
        gettext("Numbers as a table"),
        chart.title,
        table(chart, head=head),
    )


def table(chart: Chart, *, head: str) -> SafeString:
    """Return the numbers of the chart as a table."""
    heads = [head, chart.title, *([chart.before] if chart.before else [])]
    rows = [(point.name, _cells(chart, point)) for point in chart.points]
    return format_html(
        '<table class="tracking-table"><caption>{}</caption><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table>",
        chart.description,
        format_html_join("", '<th scope="col">{}</th>', ((text,) for text in heads)),
        format_html_join("", '<tr><th scope="row">{}</th>{}</tr>', rows),
    )


def _cells(chart: Chart, point: Point) -> SafeString:
    values = (point.value, *([point.before] if chart.before else []))
    return format_html_join(
        "",
        '<td class="tracking-number">{}</td>',
        ((_text(value, chart.unit),) for value in values),
    )


def _text(value: float | None, unit: Unit) -> str:
    drawn = known(value)
    return UNKNOWN if drawn is None else unit.text(drawn)


# What stands still when the chart grows wider: text, by percentages.


def _grid(grid: Sequence[float], unit: Unit) -> SafeString:
    rows = [(number(100 - 100 * tick / grid[-1]), unit.axis(tick)) for tick in grid]
    return format_html_join(
        "",
        '<line class="tracking-grid" x1="0" x2="100%" y1="{0}%" y2="{0}%"/>'
        '<text class="tracking-tick" x="0" dx="-8" y="{0}%" dy="4" text-anchor="end">{1}</text>',
        rows,
    )


def _labels(points: Sequence[Point]) -> SafeString:
    shown = indexes_of_labels(len(points))
    is_long = any(len(points[index].label) > LONG for index in shown)
    rows = [
        (
            "tracking-tick tracking-tick-spare" if is_long and position % 2 else "tracking-tick",
            number(_percent(index, len(points))),
            points[index].label,
        )
        for position, index in enumerate(shown)
    ]
    return format_html_join(
        "", '<text class="{}" x="{}%" y="100%" dy="20" text-anchor="middle">{}</text>', rows
    )


def _percent(index: int, count: int) -> float:
    """Return the distance of a point from the left in percent. A single one is centered."""
    return 100 * index / (count - 1) if count > 1 else 50.0


def _marks(chart: Chart, values: Sequence[float | None], top: float) -> SafeString:
    """Return the dots and tooltips of the points."""
    count = len(values)
    half = 50 / (count - 1) if count > 1 else 50.0
    marks = []
    for index, (point, value) in enumerate(zip(chart.points, values, strict=True)):
        left = _percent(index, count)
        begin, end = max(left - half, 0), min(left + half, 100)
        dot = _dot(left, value, top, is_alone=_is_alone(values, index))
        marks.append((number(begin), number(end - begin), dot, _tip(chart, point)))
    return format_html_join(
        "",
        '<g class="tracking-point"><rect x="{}%" y="0" width="{}%" height="100%"/>{}'
        "<title>{}</title></g>",
        marks,
    )


def _dot(left: float, value: float | None, top: float, *, is_alone: bool) -> SafeString:
    if value is None:
        return SafeString("")
    return format_html(
        '<circle class="{}" cx="{}%" cy="{}%" r="4"/>',
        "tracking-point-alone" if is_alone else "tracking-point-dot",
        number(left),
        number(100 - 100 * value / top),
    )


def _is_alone(values: Sequence[float | None], index: int) -> bool:
    """Return whether a point has no known neighbor, so that only a dot can show it."""
    return not any(
        0 <= other < len(values) and values[other] is not None for other in (index - 1, index + 1)
    )


def _tip(chart: Chart, point: Point) -> str:
    lines = [point.name, f"{chart.title}: {_text(point.value, chart.unit)}"]
    if chart.before:
        lines.append(f"{chart.before}: {_text(point.before, chart.unit)}")
    return "\n".join(lines)


# What is stretched: lines.


def _placed(values: Sequence[float | None], top: float) -> list[_Line]:
    """Return the lines through all known values, interrupted at unknown ones."""
    lines: list[_Line] = [[]]
    for index, value in enumerate(values):
        if value is not None:
            left = SIDE * _percent(index, len(values)) / 100
            lines[-1].append((left, SIDE * (1 - value / top)))
        elif lines[-1]:
            lines.append([])
    return [line for line in lines if line]


def _lines(chart: Chart, values: list[_Line], befores: list[_Line]) -> SafeString:
    return format_html_join(
        "", '<path class="tracking-{}" d="{}"/>', _paths(chart, values, befores)
    )


def _paths(
    chart: Chart, values: list[_Line], befores: list[_Line]
) -> Iterator[tuple[str, SafeString]]:
    for line in values:
        yield "area", _area(line)
    for line in befores:
        yield "before", _path(line)
    for line in values[:-1]:
        yield "line", _path(line)
    for line in values[-1:]:
        whole = line[:-1] if chart.unfinished else line
        yield "line", _path(whole)
        if chart.unfinished:
            yield "unfinished", _path(line[-2:])


def _path(line: _Line) -> SafeString:
    return SafeString("M" + "L".join(f"{number(x)} {number(y)}" for x, y in line) if line else "")


def _area(line: _Line) -> SafeString:
    return _path([(line[0][0], SIDE), *line, (line[-1][0], SIDE)])


def _legend(chart: Chart) -> SafeString:
    entries = [("line", chart.title)]
    if chart.unfinished:
        entries.append(("unfinished", chart.unfinished))
    if chart.before:
        entries.append(("before", chart.before))
    return format_html_join(
        "",
        '<span><svg class="tracking-key" aria-hidden="true" focusable="false" width="24"'
        ' height="12"><path class="tracking-{}" d="M0 6L24 6"/></svg> {}</span>',
        entries,
    )
