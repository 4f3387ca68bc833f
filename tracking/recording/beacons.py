"""The one place where hits become rows."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from tracking.hits import ROLES, Hit, Reference
from tracking.isolation import savepoint
from tracking.models import Beacon
from tracking.registry import renamed
from tracking.signals import beacon_recorded

logger = logging.getLogger(__name__)

#: Characters kept of what strangers send. Browsers stay far below; what is longer is
#: an attempt to fill the disk.
MAX_HEADER = 2_000

#: Where ``data`` keeps a reference to a model that this site does not have.
UNRESOLVED = "unresolved"


def write(hits: Iterable[Hit]) -> Sequence[Beacon]:
    """Write a batch of hits, each one once, and tell who listens.

    A hit whose row exists already changes nothing: delivering a batch again after a
    failure is safe. All of the batch is written or none of it. Inside a transaction
    of the site it gets a savepoint, so that a failure does not poison that.

    Args:
        hits: what was observed.

    Returns:
        The beacons that are new rows.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    using = router.db_for_write(Beacon)
    beacons = list({hit.id: _beacon(hit, using) for hit in hits}.values())
    if not beacons:
        return []
    written = _insert(beacons, using)
    if beacon_recorded.has_listeners(Beacon):
        for beacon in written:
            _announce(beacon)
    return written


def _insert(beacons: Sequence[Beacon], using: str) -> Sequence[Beacon]:
    """Insert what is not there yet, and return it."""
    rows = Beacon.objects.using(using)
    missing = beacons
    while missing:
        try:
            with transaction.atomic(using=using):
                return rows.bulk_create(missing)
        except IntegrityError:
            # Delivered before, all or some: rare, and so worth a second look at the table
            # rather than a slower statement for every batch. Another process may deliver
            # the rest meanwhile; each round leaves fewer.
            known = _known([beacon.pk for beacon in missing], using)
            if not known:
                raise
            missing = [beacon for beacon in missing if beacon.pk not in known]
    return []


def _known(keys: Sequence[UUID], using: str) -> set[UUID]:
    """Return which of the keys are rows, asking for as many at once as any database takes."""
    known: set[UUID] = set()
    for start in range(0, len(keys), 500):
        rows = Beacon.objects.using(using).filter(pk__in=keys[start : start + 500])
        known.update(rows.values_list("pk", flat=True))
    return known


class _Undo(Exception):
    """A receiver has failed: go back to the savepoint."""


def _announce(beacon: Beacon) -> None:
    """Send the signal. What a receiver breaks in the site's transaction is rolled back."""
    with suppress(_Undo), savepoint():
        responses = beacon_recorded.send_robust(sender=Beacon, beacon=beacon)
        if any(isinstance(response, Exception) for _receiver, response in responses):
            raise _Undo  # Django has logged it


def _beacon(hit: Hit, using: str) -> Beacon:
    """Return the unsaved row for a hit, without anything that a database would refuse."""
    columns: dict[str, Any] = {}
    unresolved: dict[str, list[str]] = {}
    for role in ROLES:
        reference: Reference | None = getattr(hit, role)
        if reference is None:
            continue
        content_type = _content_type(reference.label, using)
        if content_type is None:
            unresolved[role] = list(reference)
        else:
            columns[f"{role}_type_id"] = content_type.pk
            columns[f"{role}_id"] = reference.pk
    data = dict(hit.data)
    if unresolved:
        data = {UNRESOLVED: unresolved, **renamed(data, [UNRESOLVED])}
    return Beacon(
        id=hit.id,
        kind=hit.kind,
        time=hit.time if settings.USE_TZ else timezone.make_naive(hit.time),
        data=_without_nul(data),
        url=_without_nul(hit.url),
        referrer=_without_nul(hit.referrer[:MAX_HEADER]),
        ip_address=hit.ip_address,
        user_agent=_without_nul(hit.user_agent[:MAX_HEADER]),
        **columns,
    )


def _content_type(label: str, using: str) -> ContentType | None:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        # A token of another site that shares our secrets, or of a model since removed.
        logger.warning("A hit is tied to the unknown model %s; kept in its data.", label)
        return None
    return ContentType.objects.db_manager(using).get_for_model(model)


def _without_nul(value: Any) -> Any:
    """Return ``value`` with NUL characters replaced, which PostgreSQL refuses in any text."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
