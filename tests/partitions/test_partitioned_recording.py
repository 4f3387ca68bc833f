"""The tests of recording, once more, on tables that are in parts by months."""

import pytest
from django.db import connection

from tests.recording import test_recording
from tests.recording.test_recording import announced  # noqa: F401 - a fixture of theirs
from tests.support import partitioned

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="parts are for PostgreSQL"),
]

globals().update(
    {name: test for name, test in vars(test_recording).items() if name.startswith("test_")}
)


@pytest.fixture(autouse=True)
def parts(db):
    partitioned.convert_all()
