"""A random salt that all processes of a site share for one day (UTC).

It keys the hashes that identify visitors without cookie. A hash is the same in all processes all
day long. Once the day is over the salt is deleted, and nobody can compute the hash again.

    if snapshots.is_due():
        snapshots.refresh()
    daily_salt.today()           # bytes, or None if there is no salt

It is read with the snapshots (:mod:`tracking.caching.snapshots`). The first process that needs a
salt makes it.
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
    """Return the salt of this day, or ``None`` if this process has not read it yet.

    It makes no query. If it returns ``None``, the next request refreshes the snapshots, unless
    the database has just failed.
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
        # If the row has been deleted, write the same salt again.
        ours = self._value if self._value and time() < self.expires_at else None
        self._value = bytes.fromhex(values.get(name) or _create(name, ours))
        self.expires_at = midnight.timestamp()


def _create(name: str, ours: bytes | None) -> str:
    """Save a salt, and return it, or the one that another process has saved before."""
    value = (ours or secrets.token_bytes(SALT_BYTES)).hex()
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    salt = SharedValue(name=name, value=value, changed_at=timezone.now())
    with savepoints():  # an error must not stop the refresh of the snapshots
        rows.filter(name=name, value="").delete()  # loaded from a dump, which has no salts
        rows.bulk_create([salt], ignore_conflicts=True)
        salts = rows.filter(name__startswith=SALT_PREFIX).values_list("name", flat=True)
        # Keep later ones: the clock of another machine may be ahead.
        rows.filter(name__in=[other for other in salts if other < name]).delete()
        return rows.values_list("value", flat=True).get(name=name)


_salt = _Salt()
