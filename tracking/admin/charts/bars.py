"""Shares as bars."""

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tracking.admin.charts.scales import known


class Part(NamedTuple):
    """A part of a whole.

    Attributes:
        key: the end of its CSS class: ``confirmed``, ``proxied``, ``without-image`` or
            ``machine``.
        label: its translated label.
        value: its value.
        text: the value as text.
    """

    key: str
    label: str
    value: float
    text: str


class Span(NamedTuple):
    """A range below a bar, and the most likely value in it.

    Attributes:
        low: the lower end.
        likely: the value in between.
        high: the upper end.
    """

    low: float
    likely: float
    high: float


def share(value: float | None, whole: float | None) -> float:
    """Return a value as percent of ``whole``, 0 to 100. It is 0 if either is unknown."""
    part, total = known(value) or 0.0, known(whole) or 0.0
    return round(min(part / total, 1) * 100, 2) if total > 0 else 0.0


def bar(value: float | None, whole: float | None) -> SafeString:
    """Return the bar behind the text of a table cell, as long as the share of a whole.

    It is hidden from screen readers: the number is in the next cell.
    """
    return format_html(
        '<svg class="tracking-bar" aria-hidden="true" focusable="false" viewBox="0 0 100 1"'
        ' preserveAspectRatio="none"><rect x="0" y="0" width="{}" height="1"/></svg>',
        number(share(value, whole)),
    )


def parted(
    parts: Sequence[Part],
    whole: float,
    *,
    id: str,  # noqa: A002
    title: str,
    span: Span,
) -> SafeString:
    """Return a bar in several parts, which differ by pattern and not by color only.

    Args:
        parts: the parts from left to right. The rest of the bar stays empty.
        whole: the value of the full length.
        id: the prefix of the ids of its elements.
        title: its title.
        span: the range that is drawn below it. Its text has to be said elsewhere.
    """
    drawn, begin = [], 0.0
    for part in parts:
        width = min(share(part.value, whole), round(100 - begin, 2))
        name = f"{part.label}: {part.text}"
        drawn.append((part.key, number(begin), number(width), name))
        begin = round(begin + width, 2)
    return format_html(
        '<svg class="tracking-parted" role="img" aria-labelledby="{id}-title {id}-desc"'
        ' width="100%" height="{height}">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{desc}</desc>'
        '{patterns}<rect class="tracking-part-rest" x="0" y="0" width="100%" height="{bar}"/>'
        "{rects}{span}</svg>",
        height=_HEIGHT + _SPAN_HEIGHT,
        span=_span(span, whole),
        id=id,
        bar=_HEIGHT,
        title=title,
        desc="; ".join(name for _key, _begin, _width, name in drawn),
        patterns=_patterns(id),
        rects=format_html_join(
            "",
            '<rect class="tracking-part-{0}" x="{1}%" y="0" width="{2}%" height="{4}"{5}>'
            "<title>{3}</title></rect>",
            ((*part, _HEIGHT, _fill(id, part[0])) for part in drawn),
        ),
    )


#: The height of the bar and of the range below it, in pixels.
_HEIGHT, _SPAN_HEIGHT = 24, 16


def _span(span: Span, whole: float) -> SafeString:
    """Return a line with an end at both values of a range, and a mark at the likely one."""
    low, likely, high = (number(share(value, whole)) for value in span)
    middle = _HEIGHT + _SPAN_HEIGHT // 2
    return format_html(
        '<g class="tracking-span"><line x1="{low}%" y1="{y}" x2="{high}%" y2="{y}"/>'
        '<line x1="{low}%" y1="{top}" x2="{low}%" y2="{end}"/>'
        '<line x1="{high}%" y1="{top}" x2="{high}%" y2="{end}"/>'
        '<circle cx="{likely}%" cy="{y}" r="5"/></g>',
        low=low,
        likely=likely,
        high=high,
        y=middle,
        top=middle - 4,
        end=middle + 4,
    )


def span_swatch() -> SafeString:
    """Return the symbol of the range for the legend of a bar."""
    return SafeString(
        '<svg class="tracking-swatch" aria-hidden="true" focusable="false" width="20" height="12">'
        '<g class="tracking-span"><path d="M1 2V10M1 6H19M19 2V10"/>'
        '<circle cx="10" cy="6" r="4"/></g></svg>'
    )


def swatch(id: str, key: str) -> SafeString:  # noqa: A002
    """Return the symbol of a part for the legend of the bar with the same ``id``."""
    return format_html(
        '<svg class="tracking-swatch" aria-hidden="true" focusable="false" width="12" height="12">'
        '<rect class="tracking-part-{}" x="0" y="0" width="12" height="12"{}/></svg>',
        key,
        _fill(id, key),
    )


#: The patterns of parts, on a square of eight pixels.
_PATTERNS = {
    "proxied": SafeString('<path d="M-2 10L10 -2M-2 2L2 -2M6 10L10 6"/>'),
    "machine": SafeString('<circle cx="2" cy="2" r="1"/><circle cx="6" cy="6" r="1"/>'),
}


def _patterns(id: str) -> SafeString:  # noqa: A002
    return format_html_join(
        "",
        '<pattern class="tracking-pattern-{1}" id="{0}-{1}" width="8" height="8"'
        ' patternUnits="userSpaceOnUse"><rect x="0" y="0" width="8" height="8"/>{2}</pattern>',
        ((id, key, drawn) for key, drawn in _PATTERNS.items()),
    )


def _fill(id: str, key: str) -> str:  # noqa: A002
    return format_html(' fill="url(#{}-{})"', id, key) if key in _PATTERNS else ""


def number(value: float) -> str:
    """Return a coordinate, with a dot whatever the language.

    >>> number(12.5), number(100.0)
    ('12.5', '100')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
