"""Write a batch, and find the hits that the database refuses."""

import pytest
from django.db import DataError, IntegrityError, OperationalError

from tests.support.buffered import FakeTable
from tracking.hits import Hit, Kind
from tracking.pipeline.spool import DamagedBytes, Record, encode_hit
from tracking.pipeline.write_batch import Unavailable, write_records


def hits(number, **values):
    return [Hit(kind=Kind.OPEN, data={"n": n}, **values) for n in range(number)]


@pytest.fixture
def table(monkeypatch):
    return FakeTable.instead_of_the_database(monkeypatch)


def records(hits):
    return [Record(encode_hit(hit), 0.0) for hit in hits]


def test_what_is_poisoned_is_found_and_the_rest_is_written(table):
    table.poison = {3: DataError("too long"), 17: ValueError("no"), 18: IntegrityError("not null")}
    outcome = write_records(
        [*records(hits(50)), Record(b"?", 0.0), DamagedBytes(b"xx")], table.write
    )
    assert table.numbers == [n for n in range(50) if n not in {3, 17, 18}]
    assert outcome.written == 47
    assert [item.reason.partition(":")[0] for item in outcome.rejected] == [
        "undecodable", "damaged on disk", "DataError", "ValueError", "IntegrityError",
    ]  # fmt: skip
    assert table.calls < 60


@pytest.mark.parametrize("error", [OperationalError("gone"), AttributeError("?"), MemoryError()])
def test_a_database_that_is_away_is_not_the_fault_of_hits(table, error):
    table.error = error
    with pytest.raises(Unavailable):
        write_records(records(hits(50)), table.write)
    assert table.calls == 1


def test_if_all_are_refused_it_is_not_their_fault(table):
    table.error = IntegrityError("a column that the code does not know yet")
    with pytest.raises(Unavailable):
        write_records(records(hits(100)), table.write)


def test_one_hit_that_looks_like_a_database_away_is_suspected_in_the_end(table):
    table.poison = {7: OperationalError("incorrect string value")}
    outcome = write_records(records(hits(20)), table.write, suspect_hits=True)
    assert len(table.rows) == 19
    assert len(outcome.rejected) == 1
    with pytest.raises(Unavailable):  # nothing else says that the database is there
        write_records(records(hits(8)[7:]), table.write, suspect_hits=True)
