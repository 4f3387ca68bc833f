"""Events: what the site itself reports, see :func:`tracking.record`.

An event is checked and made where the site calls, with what the request tells at that moment. It is
sent when the open transactions of the thread are committed, so that an order that is rolled back
was never recorded. In an event loop, which has no transactions, it is sent at once.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest

from tracking import compat, exclusions
from tracking.backends import get_backend
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.db import missing_tables
from tracking.db.column_values import MAX_TEXT, storable_text
from tracking.db.isolation import log_errors, open_transactions
from tracking.hits import Hit, Kind, Reference
from tracking.identity.browser_consent import Consent
from tracking.identity.request_info import RequestInfo
from tracking.journey.goals import name_problem
from tracking.log_limits import get_logger
from tracking.sync_and_async import IN_LOOP, IN_THREAD, Waiting, run

logger = get_logger(__name__)

#: A value is smaller than this, or larger than this with a minus.
MAX_VALUE = 10**10

#: Bytes of the data of an event as JSON.
MAX_DATA = 8_192

_CENT = Decimal("0.01")


def send(name: str, request: HttpRequest | None, **arguments: Any) -> None:
    """Record an event: see :func:`tracking.record`."""
    hit = _checked(name, request, **arguments)
    if hit is None:
        return
    if compat.is_in_event_loop():
        task = asyncio.ensure_future(_send(hit, request, IN_LOOP))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return
    with log_errors(logger, "Recording of event %s", hit.event_name):
        found = run(_observed(hit, request, IN_THREAD))
        if found is not None:
            _send_when_committed(found)


async def asend(name: str, request: HttpRequest | None, **arguments: Any) -> None:
    """Record an event: see :func:`tracking.arecord`."""
    hit = _checked(name, request, **arguments)
    if hit is not None:
        await _send(hit, request, IN_LOOP)


#: Event loops hold their tasks by weak references only.
_tasks: set["asyncio.Future[None]"] = set()


async def _send(hit: Hit, request: HttpRequest | None, wait: Waiting) -> None:
    with log_errors(logger, "Recording of event %s", hit.event_name):
        found = await _observed(hit, request, wait)
        if found is not None:
            await wait.send(get_backend(), found)


def _send_when_committed(hit: Hit) -> None:
    """Send a hit when no transaction of this thread is open; one that rolls back drops it."""
    # The transaction around a test never ends by a commit.
    waiting = [one for one in open_transactions() if not compat.is_in_test_case(one)]
    if waiting:
        transaction.on_commit(lambda: _send_when_committed(hit), using=waiting[0].alias)
        return
    try:
        get_backend().send_in_savepoints(hit)
    except Exception as error:
        if not missing_tables.is_known(error):
            logger.exception("Recording of event %s failed", hit.event_name)


# What the request tells.


async def _observed(hit: Hit, request: HttpRequest | None, wait: Waiting) -> Hit | None:
    """Return the hit with what its request tells, or ``None`` if the request does not count."""
    if request is None:
        return hit
    if reason := exclusions.exclude_machine(request):
        logger.debug("Event %s is not counted: %s", hit.event_name, reason)
        return None
    # Not that of the request: the page may still change what its reader agrees to.
    info = RequestInfo(request)
    if info.tracks_visitors:
        if snapshots.is_due():
            await snapshots.refresh_for_request(wait)
        if exclusions.is_untracked(info.user_agent):
            logger.debug("Event %s is not counted: %s", hit.event_name, exclusions.UNTRACKED_AGENT)
            return None
    if conf.consent:
        await info.ask_consent(wait)
    if info.consent is Consent.REFUSE:
        return hit  # what the site knows, and nothing of the reader
    return msgspec.structs.replace(
        hit,
        referrer=info.referrer[:MAX_TEXT],
        ip_address=info.recorded_address,
        user_agent=info.user_agent[:MAX_TEXT],
        visitor=info.visitor_key if info.tracks_visitors else None,
    )


# What the site passes.


def _checked(name: str, request: HttpRequest | None, **arguments: Any) -> Hit | None:
    """Return the event, or ``None`` if an argument is wrong and this is a site in production.

    Raises:
        TypeError, ValueError: an argument is wrong, with ``DEBUG`` or in tests.
    """
    try:
        return _hit(name, request, **arguments)
    except (TypeError, ValueError) as error:
        if settings.DEBUG or compat.is_test_environment():
            raise
        logger.error("tracking.record(%.100r): %s", name, error)  # noqa: TRY400 - one line
        return None


def _hit(
    name: str,
    request: HttpRequest | None,
    *,
    entity: Model | Reference | None,
    source: Model | Reference | None,
    value: Decimal | float | None,
    data: Mapping[str, Any],
) -> Hit:
    if not isinstance(name, str):
        raise TypeError(f"the name of an event is a text, not {name!r:.100}.")
    if problem := name_problem(name):
        raise ValueError(f"the name of an event: {problem}.")
    if request is not None and not isinstance(request, HttpRequest):
        raise TypeError(f"expected a request of Django or None, got {request!r:.100}.")
    return Hit(
        kind=Kind.EVENT.value,
        time=datetime.now(UTC),
        event_name=str.__str__(name),
        entity=_reference(entity),
        source=_reference(source),
        event_value=None if value is None else _amount(value),
        data=_plain(data),
    )


def _reference(row: Model | Reference | None) -> Reference | None:
    return row if row is None or isinstance(row, Reference) else Reference.to(row)


def _amount(value: Decimal | float) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | float | int):
        raise TypeError(f"a value is a Decimal, int or float, not {value!r:.100}.")
    try:
        # By its digits: the float 0.285 is less than 0.285.
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
        if amount.is_finite() and abs(amount) < MAX_VALUE:
            return amount.quantize(_CENT)
    except (InvalidOperation, ValueError):  # integers of thousands of digits are no text
        pass
    raise ValueError(f"a value is finite and smaller than {MAX_VALUE:,}.")


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as JSON values, with texts cut to length, as they may come from strangers.

    Raises:
        TypeError, ValueError: they do not fit JSON, or are too long.
    """
    try:
        text = json.dumps(_cut(data), cls=DjangoJSONEncoder, allow_nan=False)
    except RecursionError as error:
        raise ValueError("the data contain themselves.") from error
    if len(text) > MAX_DATA:
        raise ValueError(f"the data take {len(text):,} bytes as JSON; the limit is {MAX_DATA:,}.")
    plain: dict[str, Any] = json.loads(text)
    return plain


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {
            storable_text(key) if isinstance(key, str) else key: _cut(item)
            for key, item in value.items()
        }
    return [_cut(item) for item in value] if isinstance(value, list | tuple) else value
