"""The command tracking_rollup."""

from datetime import date
from io import StringIO

import pytest
from django.core.management import call_command

from tests.support import brute_force
from tracking.models import CountedDay
from tracking.recording import write

FIRST, LAST = date(2026, 3, 26), date(2026, 4, 1)

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_command_prints_what_it_does():
    mailings, readers = brute_force.mailings(), brute_force.readers(5)
    write(brute_force.traffic(FIRST, LAST, number=250, sources=mailings, entities=readers))
    out = StringIO()
    call_command("tracking_rollup", "--since", "2026-03-30", stdout=out)
    assert "2026" in out.getvalue()
    number = CountedDay.objects.count()
    assert f"{number} days" in out.getvalue()
    out = StringIO()
    call_command("tracking_rollup", "--rebuild", "--verbosity", "0", stdout=out)
    assert out.getvalue() == ""
    assert CountedDay.objects.count() > number
