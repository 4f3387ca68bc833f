"""Hits become beacons."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, router, transaction

from tracking.announcements import announce
from tracking.columns import known_keys, moment, text, without_nul
from tracking.conclusions import conclude
from tracking.hits import ROLES, Hit, Kind, Reference
from tracking.models import Beacon
from tracking.registry import renamed
from tracking.signals import beacon_recorded
from tracking.verdicts import Label

logger = logging.getLogger(__name__)

#: Where ``data`` keeps a reference to a model that this site does not have.
UNRESOLVED = "unresolved"


def write(hits: Sequence[Hit]) -> Sequence[Beacon]:
    """Write a batch of hits, each one once, and tell who listens.

    Args:
        hits: what was observed.

    Returns:
        The beacons that are new rows.

    Raises:
        django.db.DatabaseError: the database refuses; nothing was written.
    """
    if not hits:
        return []
    using = router.db_for_write(Beacon)
    beacons = list({hit.id: _beacon(hit, using) for hit in hits}.values())
    written = _insert(beacons, using)
    if beacon_recorded.has_listeners(Beacon):
        for beacon in written:
            announce(beacon_recorded, Beacon, beacon=beacon)
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
            known = known_keys(rows, [beacon.pk for beacon in missing])
            if not known:
                raise
            missing = [beacon for beacon in missing if beacon.pk not in known]
    return []


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
    concluded = conclude(hit.ip_address, hit.user_agent, is_open=hit.kind == Kind.OPEN)
    return Beacon(
        id=hit.id,
        kind=hit.kind,
        time=moment(hit.time),
        data=_without_nul(data),
        url=without_nul(hit.url),
        referrer=text(hit.referrer),
        ip_address=hit.ip_address,
        user_agent=text(hit.user_agent),
        # A machine that fetches for others is the browser of none of them.
        visitor_id=hit.visitor if concluded["verdict"] == Label.HUMAN else None,
        **concluded,
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
    """Return ``value`` with NUL characters replaced wherever there are texts in it."""
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value
