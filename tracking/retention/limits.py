"""How long each table keeps its rows, by the settings."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Model

from tracking.conf import conf, full_name
from tracking.models import (
    Beacon,
    DailyCount,
    PageView,
    SentMessage,
    UnmatchedEvent,
    Visit,
    Visitor,
    WebhookMessage,
    WrittenBatch,
)

#: Longer is a typing error, and close to the first day of the calendar.
MAX_AGE = timedelta(days=100 * 366)


class RetainedTable(NamedTuple):
    """A table whose rows expire.

    Attributes:
        model: the model.
        column: the time column that decides; an index starts with it. Counts of days are not
            deleted, but added up by month.
        setting: the property of :data:`tracking.conf.conf` with the age at which rows expire.
        unit: the unit of that setting: ``"hours"`` or ``"days"``.
    """

    model: type[Model]
    column: str
    setting: str
    unit: str

    @property
    def max_age(self) -> float | None:
        """The age at which rows expire, in units; ``None`` if they never do.

        Raises:
            ValueError: the setting has no valid value.
        """
        value: Any = getattr(conf, self.setting)
        if value is None:
            return None
        if not _is_valid_age(value, self.unit):
            # Zero could mean "keep none" or "keep all": nothing is deleted on a guess.
            raise ValueError(
                f"{full_name(self.setting)} is {value!r}: give a number of {self.unit} greater "
                "than 0, at most a hundred years, or None to keep all rows."
            )
        return float(value)


def _is_valid_age(value: object, unit: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return 0 < value <= MAX_AGE / timedelta(**{unit: 1})


#: The tables by name, in the order in which rows are deleted: page views before their visits.
TABLES: Mapping[str, RetainedTable] = {
    "visitor": RetainedTable(Visitor, "last_update", "cleanup_timeout", "hours"),
    "pageview": RetainedTable(PageView, "time", "page_view_retention", "days"),
    "visit": RetainedTable(Visit, "ended_at", "visit_retention", "days"),
    "beacon": RetainedTable(Beacon, "time", "beacon_retention", "days"),
    "receipt": RetainedTable(WrittenBatch, "time", "receipt_retention", "days"),
    "sentmessage": RetainedTable(SentMessage, "time", "sent_message_retention", "days"),
    "unmatchedevent": RetainedTable(UnmatchedEvent, "time", "unmatched_event_retention", "days"),
    "webhookmessage": RetainedTable(WebhookMessage, "created_at", "webhook_retention", "days"),
    "dailycount": RetainedTable(DailyCount, "day", "daily_count_retention", "days"),
}


def setting_errors() -> list[str]:
    """Return a sentence about each setting without a valid value, for the system checks."""
    errors = []
    for table in TABLES.values():
        try:
            _ = table.max_age
        except ValueError as error:
            errors.append(str(error))
    return errors
