"""Packed counts are those that were packed."""

from hypothesis import given
from hypothesis import strategies as st

from tracking.rollups.counts import OTHER, Counts
from tracking.rollups.packed_counts import PackedCounts, pack

numbers = st.integers(0, 2**63 - 1)
values = st.text(st.characters(codec="utf-8"), max_size=20) | st.just(OTHER)
by_value = st.dictionaries(values, st.builds(Counts, *[numbers] * 5), max_size=6)


@given(st.dictionaries(st.sampled_from(["pages", "links", "visits"]), by_value))
def test_counts_are_unpacked_as_they_were_packed(facets):
    for packed in (pack(facets), memoryview(pack(facets))):
        unpacked = PackedCounts(packed)
        assert {name: unpacked.facet(name) for name in facets} == facets
        assert unpacked.facet("browsers") == {}


def test_similar_values_take_few_bytes():
    counts = {f"/articles/{number}/": Counts(number, number) for number in range(1_000)}
    assert len(pack({"pages": counts})) < 8_000
