"""Tables that are missing: one line in the log instead of a traceback for each request."""

import logging

import pytest
from django.db import DatabaseError, connection, transaction

from tracking import links
from tracking.backends import BaseBackend
from tracking.db import missing_tables

pytestmark = pytest.mark.django_db


def query(table):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")


class WithoutTables(BaseBackend):
    def send(self, hit):
        query("tracking_nothing")


def test_a_site_without_tables_logs_one_line(client, settings, caplog):
    settings.TRACKING_BACKEND = f"{__name__}.WithoutTables"
    settings.MIDDLEWARE = ["tracking.middleware.VisitorTrackingMiddleware"]
    with caplog.at_level(logging.WARNING, logger="tracking"):
        for _ in range(3):
            assert client.get("/page/tea").status_code == 200
            assert client.get(links.pixel_url()).status_code == 200
            assert client.get(links.link_url("/a")).status_code == 302
    [line] = [record for record in caplog.records if record.name.startswith("tracking.db")]
    assert line.exc_info is None
    assert "manage.py migrate tracking" in line.getMessage()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("table", ["shop_nothing", "tracking_nothing WHERE )"])
def test_other_errors_are_none_of_missing_tables(table):
    with pytest.raises(DatabaseError) as raised:
        query(table)
    assert not missing_tables.is_known(raised.value)
