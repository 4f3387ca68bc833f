import pytest
from django.db import connections


@pytest.fixture
def another():
    """A second connection to the same database, in a transaction of its own."""
    second = connections.create_connection("default")
    second.set_autocommit(False)
    yield second
    second.rollback()
    second.close()
