"""A random salt that all processes of a site share for one day (UTC).

What is derived with it - such as the key of a visitor without cookie - is the same in
each process all day long, and can be derived by nobody once the day is over: the salt is
deleted then, and written down nowhere else.

    if snapshots.is_due():
        snapshots.refresh()
    salts.today()                # bytes, or None where no salt could be had

It travels with the poll of :mod:`tracking.caching.snapshots`, and is made by the first process
that needs it.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import time

from django.db import router
from django.utils import timezone

from tracking.caching import snapshots
from tracking.db.isolation import savepoints
from tracking.models import SharedValue
from tracking.models.shared_state import SALT_PREFIX

#: Bytes of a salt.
SALT_BYTES = 32


def today() -> bytes | None:
    """Return the salt of this day, or ``None`` if there is none (yet).

    It does not look at the database. Where it returns ``None``, a refresh is due, unless
    the database has just failed: a caller may refresh then, and ask again.
    """
    return _salt.get()


class _Salt:
    """The salt of the day, refreshed by the poller. None is made before it is needed."""

    name = "salt"
    is_uncommitted = False

    def __init__(self) -> None:
        self.reset()
        snapshots.register(self)

    def reset(self) -> None:
        self._is_wanted = False
        self._value: bytes | None = None
        self.expires_at = snapshots.NEVER

    @property
    def is_loaded(self) -> bool:
        return not self._is_wanted or self._value is not None

    def get(self) -> bytes | None:
        self._is_wanted = True
        if self._value is not None and time() < self.expires_at:
            return self._value
        self._value = None
        snapshots.refresh_soon()
        return None

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        if not self._is_wanted:
            return
        day = datetime.fromtimestamp(time(), UTC).date()
        name = f"{SALT_PREFIX}{day.isoformat()}"
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        # If somebody has emptied the table, this process goes on with what it has.
        ours = self._value if self._value and time() < self.expires_at else None
        self._value = bytes.fromhex(values.get(name) or _create(name, ours))
        self.expires_at = midnight.timestamp()


def _create(name: str, ours: bytes | None) -> str:
    """Return a new salt, or the one that another process has made at the same time."""
    value = (ours or secrets.token_bytes(SALT_BYTES)).hex()
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    salt = SharedValue(name=name, value=value, changed_at=timezone.now())
    with savepoints():  # what fails here must not keep the snapshots from being read
        rows.filter(name=name, value="").delete()  # loaded from a dump, which has no salts
        rows.bulk_create([salt], ignore_conflicts=True)
        salts = rows.filter(name__startswith=SALT_PREFIX).values_list("name", flat=True)
        # Not a later one: the clock of another machine may be ahead.
        rows.filter(name__in=[other for other in salts if other < name]).delete()
        return rows.values_list("value", flat=True).get(name=name)


_salt = _Salt()
