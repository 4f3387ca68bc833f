import logging

import pytest
from django.db import OperationalError, connection, transaction

from tests.site.models import Affiliate
from tracking.db.isolation import log_errors_with_savepoints

logger = logging.getLogger("tracking.tests")


@pytest.mark.django_db
def test_a_failure_is_logged_with_its_traceback_and_goes_no_further(caplog):
    with log_errors_with_savepoints(logger, "Making %s of %s", "sense", 7):
        raise RuntimeError("not today")
    [record] = caplog.records
    assert record.getMessage() == "Making sense of 7 failed"
    assert "not today" in caplog.text


@pytest.mark.django_db
def test_what_succeeds_is_kept_and_what_fails_is_rolled_back():
    with log_errors_with_savepoints(logger, "First"):
        Affiliate.objects.create(name="kept")
    with log_errors_with_savepoints(logger, "Second"):
        Affiliate.objects.create(name="rolled back")
        Affiliate.objects.create(pk=Affiliate.objects.get(name="kept").pk)
    assert not connection.needs_rollback
    assert list(Affiliate.objects.values_list("name", flat=True)) == ["kept"]


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_it_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0), log_errors_with_savepoints(logger, "Nothing"):
        assert not transaction.get_connection().in_atomic_block


@pytest.mark.django_db
def test_a_database_that_refuses_the_savepoint_does_not_stop_the_block(caplog):
    def refuse(*args):
        raise OperationalError("gone away")

    ran = []
    with connection.execute_wrapper(refuse), log_errors_with_savepoints(logger, "Block"):
        ran.append(True)
    assert ran
    assert "Savepoint for: Block failed" in caplog.text


@pytest.mark.django_db
def test_it_does_not_hold_up_a_server_that_is_told_to_stop():
    with pytest.raises(KeyboardInterrupt), log_errors_with_savepoints(logger, "Block"):
        raise KeyboardInterrupt
