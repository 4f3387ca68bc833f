"""Pages of recipients."""

from datetime import date, timedelta
from importlib import import_module

import pytest

from tests.support import brute_force
from tracking.hits import Hit, Kind
from tracking.models import Beacon
from tracking.recording import write
from tracking.reports import State, recipients
from tracking.rollups.build import roll_up


@pytest.mark.django_db
class TestWhatIsRead:
    @pytest.mark.long
    def test_the_first_page_is_that_of_all(self, monkeypatch, django_assert_max_num_queries):
        tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(12)}
        days = (date(2026, 3, 27), date(2026, 4, 1))
        hits = brute_force.traffic(*days, number=300, seed=4, **tied)
        time = max(hit.time for hit in hits) + timedelta(hours=1)
        (source, _other), people = tied["sources"], tied["entities"]
        at_once = [
            Hit(kind=Kind.OPEN, source=source, entity=each, time=time) for each in people[:5]
        ]
        write([*hits, *at_once])
        asked = [
            {"limit": limit, "offset": offset, "state": state}
            for limit in (1, 3, 7, 50)
            for offset in (0, 1, 4, 11)
            for state in (None, *State)
        ]
        pages = [recipients(source, **page) for page in asked]
        monkeypatch.setattr(import_module("tracking.reports.recipients"), "MAX_NEWEST", 0)
        assert pages == [recipients(source, **page) for page in asked]
        monkeypatch.undo()
        all_of = {state: recipients(source, state=state) for state in (None, *State)}
        assert all(len(one.rows) == one.total for one in all_of.values())
        assert {page.state: page.total for page in pages} == {
            state: one.total for state, one in all_of.items()
        }
        # The first and the last beacon; whether days are counted, how many there are, the newest,
        # what these did; their objects, in a savepoint.
        with django_assert_max_num_queries(9):
            recipients(source, limit=3)

    @pytest.mark.long
    def test_counted_days_give_the_number_of_recipients(self, monkeypatch):
        tied = {"sources": brute_force.mailings(), "entities": brute_force.readers(40)}
        days = (date(2026, 3, 27), date(2026, 4, 1))
        hits = brute_force.traffic(*days, number=400, seed=5, **tied)
        source, _other = tied["sources"]
        for some in (hits[100:], hits[:100]):  # half of them late
            write(some)
            expected = {state: recipients(source, state=state) for state in (None, *State)}
            roll_up()
            with monkeypatch.context() as patch:
                patch.setattr("django.db.models.QuerySet.count", lambda rows: 1 / 0)
                found = {state: recipients(source, state=state) for state in expected}
            assert found == expected
        # Rows that somebody has deleted are noticed at the end of the list.
        Beacon.objects.filter(entity_id=expected[None].rows[0].entity.pk).delete()
        assert recipients(source).total == expected[None].total - 1
