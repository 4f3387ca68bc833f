"""The capacity calculation and its document."""

from benchmarks import capacity
from tests.support import documents

PAGE = (documents.ROOT / "docs/capacity.rst").read_text()


def test_the_table_of_the_document_is_that_of_the_figures():
    assert capacity.table() in PAGE


def test_every_figure_is_named_in_the_document():
    for figures in (capacity.MEASURED, capacity.ASSUMED):
        for name, value in figures._asdict().items():
            assert f"``{name}`` {value:,} " in " ".join(PAGE.split()) + " ", name


def test_twice_the_cost_is_twice_the_cores():
    dear = capacity.MEASURED._replace(pixel_us=2 * capacity.MEASURED.pixel_us)
    one, two = (
        {row.title: row.values for row in capacity.rows(measured)}
        for measured in (capacity.MEASURED, dear)
    )
    cheap_cores, dear_cores = float(one["web: cores"][3]), float(two["web: cores"][3])
    assert abs(dear_cores - 2 * cheap_cores) < 0.2
    assert one["workers: cores"] == two["workers: cores"]
