"""Charts are well-formed, stay within their frame and show the values."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.admin import charts
from tracking.admin.charts import Chart, Part, Point, Span, Unit, lines, scales

COUNT = Unit(text=lambda value: f"{value:.0f}", axis=lambda value: f"{value:g}")
CLOCK = Unit(text=str, axis=str, steps=(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600))

#: Whatever a value can be, and then some.
VALUES = st.one_of(
    st.none(),
    st.integers(-(10**3), 10**400),
    st.floats(),
    st.sampled_from([0, 1, 1e-300, float("inf"), float("nan")]),
)
TEXTS = st.text(max_size=20)
POINTS = st.lists(st.builds(Point, label=TEXTS, name=TEXTS, value=VALUES, before=VALUES))

#: What XML 1.0 has no place for, and HTML replaces; browsers read SVG in a page as HTML.
CONTROL = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def parse(svg):
    return ElementTree.fromstring(CONTROL.sub("\N{REPLACEMENT CHARACTER}", svg))


def chart(*values, **attributes):
    points = [
        value if isinstance(value, Point) else Point(label=f"l{n}", name=f"Day {n}", value=value)
        for n, value in enumerate(values)
    ]
    attributes = {"id": "c", "title": "Visitors", "description": "By day.", **attributes}
    return Chart(points=points, unit=COUNT, **attributes)


def svg_of(*values, **attributes):
    return parse(charts.picture(chart(*values, **attributes)))


def by_class(tree, name):
    return [e for e in tree.iter() if name in (e.get("class") or "").split()]


def drawn(path):
    return [tuple(map(float, pair.split())) for pair in re.split("[ML]", path.get("d")) if pair]


def assert_is_within_its_frame(tree):
    """All that is drawn is inside of what can be seen: of 100 %, or of the viewBox around it."""
    for element in tree.iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"):
            if (value := element.get(name, "")).endswith("%"):
                assert 0 <= float(value[:-1]) <= 100
        if element.tag == "rect" and element.get("width").endswith("%") and element.get("x") != "0":
            assert float(element.get("x", "0%")[:-1]) + float(element.get("width")[:-1]) <= 100.02
    for path in tree.iterfind(".//svg/path"):
        for x, y in drawn(path):
            assert 0 <= x <= lines.SIDE
            assert 0 <= y <= lines.SIDE


def assert_needs_no_style_and_no_script(tree):
    for element in tree.iter():
        assert element.tag not in {"style", "script", "foreignObject"}
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]


@given(POINTS, st.booleans(), st.booleans(), TEXTS)
def test_any_numbers_and_texts_are_well_formed_and_within_the_frame(points, before, open_, text):
    shown = Chart(
        id="c",
        title=text,
        description=text,
        points=points,
        unit=COUNT,
        before=f"before {text}" if before else "",
        unfinished=f"so far {text}" if open_ else "",
    )
    tree = parse(charts.figure(shown, head=text))
    assert_is_within_its_frame(tree)
    assert_needs_no_style_and_no_script(tree)
    coordinates = [e.get(name, "") for e in tree.iter() for name in ("d", "x", "y", "cy", "cx")]
    assert not re.search(r"nan|inf|e", " ".join(coordinates), re.IGNORECASE)
    assert len(tree.findall(".//tbody/tr")) == len(points)


@given(st.lists(st.tuples(VALUES, TEXTS), max_size=5), VALUES)
def test_any_parts_are_well_formed_and_fill_no_more_than_the_whole(values, whole):
    parts = [Part("machine", text, value, text) for value, text in values]
    tree = parse(charts.parted(parts, whole, id="p", title="Opened", span=Span(0, whole, whole)))
    assert_is_within_its_frame(tree)
    assert_needs_no_style_and_no_script(tree)
    widths = [float(rect.get("width")[:-1]) for rect in by_class(tree, "tracking-part-machine")]
    assert len(widths) == len(parts)
    assert sum(widths) <= 100.01


@given(VALUES, VALUES)
def test_any_bar_is_within_its_cell(value, whole):
    tree = parse(charts.bar(value, whole))
    assert 0 <= float(tree.find("rect").get("width")) <= 100


@given(st.floats(0, scales.MAX_VALUE), st.sampled_from([COUNT, CLOCK]))
def test_the_grid_begins_at_zero_is_even_and_reaches_the_highest_value(highest, unit):
    grid = scales.ticks(highest, unit)
    assert grid[0] == 0
    assert grid[-1] >= highest
    assert 2 <= len(grid) <= scales.MAX_TICKS + 2
    steps = {round((b - a) / grid[1], 6) for a, b in pairwise(grid)}
    assert steps == {1}
    assert grid[1] >= unit.least


@pytest.mark.parametrize(
    ("highest", "grid"),
    [
        (0, [0, 1]),
        (3, [0, 1, 2, 3]),
        (5, [0, 1, 2, 3, 4, 5]),
        (87, [0, 20, 40, 60, 80, 100]),
        (101, [0, 50, 100, 150]),
        (999_999, [0, 200_000, 400_000, 600_000, 800_000, 1_000_000]),
    ],
)
def test_the_grid_is_of_numbers_that_people_like(highest, grid):
    assert scales.ticks(highest, COUNT) == grid


def test_a_clock_has_steps_of_its_own():
    assert scales.ticks(100, CLOCK) == [0, 30, 60, 90, 120]
    assert scales.ticks(7 * 3600, CLOCK) == [n * 7200 for n in range(5)]


@given(st.integers(0, 5_000))
def test_there_are_four_to_six_labels_or_all(count):
    found = scales.indexes_of_labels(count)
    assert len(found) == count if count < 4 else 4 <= len(found) <= 6
    assert found == sorted(set(found))
    assert set(found) <= set(range(count))


def test_the_line_goes_through_the_values():
    tree = svg_of(0, 5, 10)
    [line] = by_class(tree, "tracking-line")
    assert drawn(line) == [(0, 1000), (500, 500), (1000, 0)]
    [area] = by_class(tree, "tracking-area")
    assert drawn(area) == [(0, 1000), (0, 1000), (500, 500), (1000, 0), (1000, 1000)]


def test_the_last_piece_is_dashed_if_it_will_still_grow():
    tree = svg_of(0, 10, 5, unfinished="Today so far")
    [line], [unfinished] = by_class(tree, "tracking-line"), by_class(tree, "tracking-unfinished")
    assert drawn(line) == [(0, 1000), (500, 0)]
    assert drawn(unfinished) == [(500, 0), (1000, 500)]


def test_the_line_is_broken_where_nothing_is_known():
    tree = svg_of(1, 1, None, 1, None, unfinished="so far")
    assert len(by_class(tree, "tracking-area")) == 2
    # The lonely one is a dot.
    [alone] = by_class(tree, "tracking-point-alone")
    assert (alone.get("cx"), alone.get("cy")) == ("75%", "0%")


def test_the_period_before_is_a_line_of_its_own_and_counts_for_the_grid():
    points = [Point(label="", name="", value=1, before=n) for n in (0, 10)]
    tree = svg_of(*points, before="The week before")
    [before] = by_class(tree, "tracking-before")
    assert drawn(before) == [(0, 1000), (1000, 0)]
    assert by_class(svg_of(*points), "tracking-before") == []


def test_the_numbers_are_a_table_too():
    tree = parse(
        charts.figure(
            chart(Point(label="1", name="1 May", value=7, before=None), before="Before"),
            head="Day",
        )
    )
    assert tree.find(".//caption").text == "By day."
    assert [th.text for th in tree.iterfind(".//thead//th")] == ["Day", "Visitors", "Before"]
    assert {th.get("scope") for th in tree.iterfind(".//thead//th")} == {"col"}
    [row] = tree.iterfind(".//tbody/tr")
    assert [cell.text for cell in row] == ["1 May", "7", "\N{EN DASH}"]
    assert row.find("th").get("scope") == "row"


def test_a_picture_has_a_name_and_a_description():
    tree = svg_of(1, 2)
    assert tree.get("role") == "img"
    ids = tree.get("aria-labelledby").split()
    texts = {e.get("id"): e.text for e in tree.iter() if e.get("id")}
    assert [texts[i] for i in ids] == ["Visitors", "By day."]


@pytest.mark.parametrize(
    ("value", "whole", "width"), [(1, 4, "25"), (1, 3, "33.33"), (0, 0, "0"), (5, 4, "100")]
)
def test_a_bar_is_as_long_as_the_share(value, whole, width):
    assert parse(charts.bar(value, whole)).find("rect").get("width") == width


def test_parts_follow_each_other():
    parts = [Part("confirmed", "Confirmed", 1, "1"), Part("proxied", "Proxied", 2, "2")]
    tree = parse(charts.parted(parts, 4, id="p", title="Opened", span=Span(1, 3, 4)))
    confirmed, proxied = (by_class(tree, f"tracking-part-{p.key}")[0] for p in parts)
    assert (confirmed.get("x"), confirmed.get("width")) == ("0%", "25%")
    assert (proxied.get("x"), proxied.get("width")) == ("25%", "50%")
    assert proxied.get("fill") == "url(#p-proxied)"
    assert tree.find("desc").text == "Confirmed: 1; Proxied: 2"
    (span,) = by_class(tree, "tracking-span")
    line, mark = span.find("line"), span.find("circle")
    assert (line.get("x1"), mark.get("cx"), line.get("x2")) == ("25%", "75%", "100%")
