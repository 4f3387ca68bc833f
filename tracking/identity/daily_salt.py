"""A random salt that all processes of a site share for one day (UTC).

It keys the hashes that identify visitors without cookie. A hash is the same in all processes all
day long. Once the day is over the salt is deleted, and nobody can compute the hash again.

    daily_salt.today()           # bytes, or None if there is no salt

It is read with the snapshots (:mod:`tracking.caching.snapshots`). The first process that needs a
salt makes it. That of the next day is made :data:`AHEAD` seconds before midnight: then no request
waits for it, and all visitors of a day have the same one.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import time

from django.db import router
from django.utils import timezone

from tracking import compat
from tracking.caching import snapshots
from tracking.db.isolation import savepoints
from tracking.models import SharedValue
from tracking.models.shared_state import SALT_PREFIX

#: Bytes of a salt.
SALT_BYTES = 32

#: Seconds before a day from which on its salt is made.
AHEAD = 600.0

_SECONDS_OF_A_DAY = 86_400


def today() -> bytes | None:
    """Return the salt of this day, or ``None`` if this process has not read it yet.

    It makes no query. If it returns ``None``, the next request refreshes the snapshots, unless
    the database has just failed.
    """
    return _salts.get()


class _Salts:
    """The salts of this day and of one that begins soon. None is made before it is needed.

    Days are counted from 1970-01-01 (UTC).
    """

    name = "salt"

    def __init__(self) -> None:
        self.reset()
        snapshots.register(self)

    def reset(self) -> None:
        self._is_wanted = False
        self._by_day: dict[int, bytes] = {}

    @property
    def is_loaded(self) -> bool:
        return not self._is_wanted or _day(0) in self._by_day

    def get(self) -> bytes | None:
        self._is_wanted = True
        salt = self._by_day.get(_day(0))
        if salt is None:
            if compat.is_test_environment():  # no request of a test has queries of its own
                return self._by_day.setdefault(_day(0), secrets.token_bytes(SALT_BYTES))
            snapshots.refresh_soon()
        return salt

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        if not self._is_wanted:
            return
        days = sorted({_day(0), _day(AHEAD)})
        self._by_day = {day: self._load(day, values) for day in days}
        first = _name_of(days[0])
        # Keep later ones: the clock of another machine may be ahead.
        if old := [name for name in values if name.startswith(SALT_PREFIX) and name < first]:
            _delete(old)

    def _load(self, day: int, values: Mapping[str, str]) -> bytes:
        name = _name_of(day)
        if not (value := values.get(name)):
            # If the row has been deleted, write the same salt again.
            value = _create(name, self._by_day.get(day) or secrets.token_bytes(SALT_BYTES))
        return bytes.fromhex(value)


def _day(ahead: float) -> int:
    return int((time() + ahead) // _SECONDS_OF_A_DAY)


def _name_of(day: int) -> str:
    return f"{SALT_PREFIX}{datetime.fromtimestamp(day * _SECONDS_OF_A_DAY, UTC).date()}"


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
