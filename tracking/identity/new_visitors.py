"""The budget of new visitors per network and minute (``TRACKING_NEW_VISITORS_PER_NETWORK``).

A client that changes its headers with every page is a new visitor with every page, and each of
them becomes rows. With a budget, the pages above it are counted and not stored::

    if new_visitors.fits_budget(key, address):
        store_the_page()

    new_visitors.not_stored()          # pages that this process has not stored
    new_visitors.not_stored_by_day()   # those of all processes, for the last days

A visitor without a cookie is new once in each minute; one with a cookie never is. Each process has
a budget of its own, and knows :data:`MAX_NETWORKS` networks: where more come within a minute, the
one that came first starts again.
"""

import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv6Address
from time import monotonic, time

from django.db import router
from django.utils import timezone

from tracking.caching import snapshots
from tracking.conf import conf
from tracking.db.isolation import savepoints
from tracking.models import SharedValue

logger = logging.getLogger(__name__)

#: Networks that a process knows at once.
MAX_NETWORKS = 4_096

#: Visitors of all these networks that a process knows at once; of a single network it knows as
#: many as the budget allows.
MAX_VISITORS = 50_000

#: Seconds for which a budget is valid.
MINUTE = 60

#: Seconds between two reports of a process to the others, and to the log.
REPORT_INTERVAL = 60.0

#: Days that the shared counts are kept.
DAYS = 7

_PREFIX = "over budget "


def fits_budget(key: str, address: str | None) -> bool:
    """Return whether the page of a visitor without a cookie is stored; count it if it is not.

    Args:
        key: the key of the visitor.
        address: the client's address, or ``None`` if it is not known.
    """
    limit = conf.new_visitors_per_network
    # A wrong value limits nothing. The system checks report it.
    return type(limit) is not int or limit < 1 or _budget.fits(key, address, limit)


def not_stored() -> int:
    """Return how many pages this process has not stored because of the budget."""
    return _budget.not_stored


def not_stored_by_day() -> Mapping[date, int]:
    """Return how many pages were not stored on each of the last days (UTC), by all processes.

    A process reports its count once a minute.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    rows = SharedValue.objects.using(router.db_for_write(SharedValue))
    counts = rows.filter(name__startswith=_PREFIX).values_list("name", "value")
    return {date.fromisoformat(name.removeprefix(_PREFIX)): int(count) for name, count in counts}


class _Budget:
    """The new visitors of this minute, by network. The poller shares the count of the others."""

    name = "budget of new visitors"
    is_loaded = True

    def __init__(self) -> None:
        self.reset()
        snapshots.register(self)

    def reset(self) -> None:
        """Start with a free lock and no networks."""
        self._lock = threading.Lock()
        self._visitors: dict[bytes | str, set[str]] = {}
        self._known = 0
        self._minute = 0
        self.not_stored = self._reported = 0
        self._report_at = snapshots.NOW

    def fits(self, key: str, address: str | None, limit: int) -> bool:
        minute = int(monotonic() // MINUTE)
        network = _network_of(address)
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._visitors.clear()
                self._known = 0
            visitors = self._visitors.get(network)
            if visitors is not None and key in visitors:
                return True
            if visitors is not None and len(visitors) >= limit:
                self.not_stored += 1
                return False
            if visitors is None or self._known >= MAX_VISITORS:
                visitors = self._make_room(network)
            visitors.add(key)
            self._known += 1
            return True

    def _make_room(self, network: bytes | str) -> set[str]:
        """Forget the networks that came first, and return the visitors of ``network``."""
        visitors = self._visitors.pop(network, set())
        while self._visitors and (
            len(self._visitors) >= MAX_NETWORKS or self._known >= MAX_VISITORS
        ):
            self._known -= len(self._visitors.pop(next(iter(self._visitors))))
        self._visitors[network] = visitors
        return visitors

    def reload_if_changed(self, values: Mapping[str, str], using: str) -> None:
        """Add the pages that were not stored since the last report to the count of the day."""
        new = self.not_stored - self._reported
        if new <= 0 or monotonic() < self._report_at:
            return
        today = datetime.fromtimestamp(time(), UTC).date()
        # If another process is faster, the next poll tries again with its count.
        if _add(new, today, values.get(f"{_PREFIX}{today}"), using):
            self._reported += new
            self._report_at = monotonic() + REPORT_INTERVAL
            logger.warning(
                "%s pages of new visitors were not stored: more than "
                "TRACKING_NEW_VISITORS_PER_NETWORK (%s) came from one network in a minute",
                new,
                conf.new_visitors_per_network,
            )


def _add(number: int, day: date, count: str | None, using: str) -> bool:
    """Add to the count of a day, if it is still as it was read; return whether it was."""
    rows = SharedValue.objects.using(using)
    name = f"{_PREFIX}{day}"
    with savepoints():  # an error must not stop the refresh of the snapshots
        if count is None:
            old = rows.filter(name__startswith=_PREFIX, name__lt=f"{_PREFIX}{_first_day(day)}")
            old.delete()
            rows.bulk_create(
                [SharedValue(name=name, value="0", changed_at=timezone.now())],
                ignore_conflicts=True,
            )
        # The count is compared and set in one statement: two processes lose nothing.
        unchanged = rows.filter(name=name, value=count or "0")
        total = str(int(count or 0) + number)
        return unchanged.update(value=total, changed_at=timezone.now()) > 0


def _first_day(today: date) -> date:
    return today - timedelta(days=DAYS - 1)


def _network_of(address: str | None) -> bytes | str:
    """Return what an address shares with its neighbours: a /24 of IPv4, a /64 of IPv6."""
    if address is None:
        return ""
    if ":" in address:
        return IPv6Address(address).packed[:8]
    return address.rpartition(".")[0]


_budget = _Budget()

# Another thread of the parent may have held the lock. The parent reports its own count.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_budget.reset)
