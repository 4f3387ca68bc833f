"""A random salt that all processes of a site share for one day of its time zone.

It keys the hashes that identify visitors without cookie. A hash is the same in all processes all
day long. Half an hour after the day is over the salt is deleted, and nobody can compute the hash
again.

    daily_salt.today()           # bytes, or None if there is no salt
    daily_salt.yesterday()       # the salt until midnight, for half an hour; None afterwards

Visits that run over midnight need the salt of yesterday (:mod:`tracking.recording.midnight`). A
visit ends after half an hour without a page.

It is read with the snapshots (:mod:`tracking.caching.snapshots`). The first process that needs a
salt makes it. That of the next day is made :data:`AHEAD` seconds before midnight: then no request
waits for it, and all visitors of a day have the same one.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from time import time
from typing import NamedTuple, Self

from django.db import router
from django.utils import timezone

from tracking import compat
from tracking.caching import snapshots
from tracking.conf import on_change
from tracking.db.isolation import savepoints
from tracking.models import SharedValue
from tracking.models.shared_state import SALT_PREFIX
from tracking.models.visitors import VISIT_GAP
from tracking.rollups import days

#: Bytes of a salt.
SALT_BYTES = 32

#: Seconds before a day from which on its salt is made.
AHEAD = 600.0


class DaySalt(NamedTuple):
    """The salt of a day of the site; it is ``None`` if this process has not read it."""

    day: date
    salt: bytes | None


def today() -> bytes | None:
    """Return the salt of this day, or ``None`` if this process has not read it yet.

    It makes no query. If it returns ``None``, the next request refreshes the snapshots, unless
    the database has just failed.
    """
    return _salts.get()


def yesterday() -> DaySalt | None:
    """Return the salt of the day before, or ``None`` when half an hour of this day is over.

    It makes no query. In tests of a site it is always ``None``: a visit that may have begun before
    midnight takes further queries, and theirs are the same at any time of day.
    """
    now, day = time(), _salts.latest_day
    if day.visits_end <= now < day.end:  # almost always
        return None
    return None if compat.is_test_environment() else _salts.get_yesterday(now)


class _Day(NamedTuple):
    """A day of the site: from ``start`` until before ``end``, in POSIX seconds.

    Visits of the day before go on until ``visits_end``.
    """

    date: date
    start: float
    visits_end: float
    end: float

    @classmethod
    def at(cls, moment: float) -> Self:
        """Return the day of a moment."""
        day = days.day_of(datetime.fromtimestamp(moment, UTC))
        start, end = days.start_of(day), days.start_of(day + days.DAY)
        return cls(day, start.timestamp(), (start + VISIT_GAP).timestamp(), end.timestamp())


class _Salts:
    """The salts of this day, of one that begins soon, and of one that has just ended.

    None is made before it is needed, and none for a day that is over.
    """

    name = "salt"

    def __init__(self) -> None:
        self.reset()
        snapshots.register(self)

    def reset(self) -> None:
        self._is_wanted = False
        self._by_day: dict[date, bytes] = {}
        self.forget_day()

    def forget_day(self) -> None:
        """Find out again which day it is."""
        self.latest_day = _Day(date.min, 0.0, 0.0, 0.0)

    @property
    def is_loaded(self) -> bool:
        return not self._is_wanted or self._day_at(time()).date in self._by_day

    def get(self) -> bytes | None:
        self._is_wanted = True
        day = self._day_at(time()).date
        salt = self._by_day.get(day)
        if salt is None:
            if compat.is_test_environment():  # no request of a test has queries of its own
                return self._by_day.setdefault(day, secrets.token_bytes(SALT_BYTES))
            snapshots.refresh_soon()
        return salt

    def get_yesterday(self, now: float) -> DaySalt | None:
        today = self._day_at(now)
        if now >= today.visits_end:
            return None
        day = today.date - days.DAY
        return DaySalt(day, self._by_day.get(day))

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        if not self._is_wanted:
            return
        now = time()
        today = self._day_at(now)
        salts = {day: self._load(day, values) for day in (today.date, _Day.at(now + AHEAD).date)}
        if now < today.visits_end:
            salts |= self._find(today.date - days.DAY, values)
        self._by_day = salts
        first = _name_of(min(salts))
        # Keep later ones: the clock of another machine may be ahead.
        if old := [name for name in values if name.startswith(SALT_PREFIX) and name < first]:
            _delete(old)

    def _day_at(self, moment: float) -> _Day:
        day = self.latest_day
        if not day.start <= moment < day.end:  # once a day: to find it takes microseconds
            day = self.latest_day = _Day.at(moment)
        return day

    def _find(self, day: date, values: Mapping[str, str]) -> Mapping[date, bytes]:
        """Return the salt of a day, if there was one."""
        value = values.get(_name_of(day))
        salt = bytes.fromhex(value) if value else self._by_day.get(day)
        return {} if salt is None else {day: salt}

    def _load(self, day: date, values: Mapping[str, str]) -> bytes:
        name = _name_of(day)
        if not (value := values.get(name)):
            # If the row has been deleted, write the same salt again.
            value = _create(name, self._by_day.get(day) or secrets.token_bytes(SALT_BYTES))
        return bytes.fromhex(value)


def _name_of(day: date) -> str:
    return f"{SALT_PREFIX}{day}"


def _create(name: str, salt: bytes) -> str:
    """Save a salt, and return it, or the one that another process has saved before."""
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    with savepoints():  # an error must not stop the refresh of the snapshots
        rows.filter(name=name, value="").delete()  # loaded from a dump, which has no salts
        rows.bulk_create(
            [SharedValue(name=name, value=salt.hex(), changed_at=timezone.now())],
            ignore_conflicts=True,
        )
        return rows.values_list("value", flat=True).get(name=name)


def _delete(names: Iterable[str]) -> None:
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    with savepoints():
        rows.filter(name__in=names).delete()


_salts = _Salts()
on_change("TIME_ZONE")(_salts.forget_day)
