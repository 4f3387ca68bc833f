"""Open pixels and redirect links for mail and pages, in the site's own database.

A site adds ``"tracking"`` to ``INSTALLED_APPS``, includes ``tracking.urls``, and
writes ``{% tracking_pixel %}`` and ``{% tracking_link %}`` into its templates.
Code that wants to know of each pixel and link registers a callback in a module
``pixels.py`` of any installed app::

    from tracking import TrackingPixel, tracker

    class CampaignPixel(TrackingPixel):
        def record(self, request, *args, **kwargs):
            ...

    tracker.register(CampaignPixel)

It reports what happens on the site by :func:`record`::

    tracking.record("purchase", request, value=order.total, order=order.number)

:func:`engagement` chooses rows of the site by what they did with a mailing::

    tracking.engagement(Subscriber.objects.all()).did_not_open("spring-letter")
"""

from typing import TYPE_CHECKING, Any, TypeVar

from tracking.pixel_callbacks import TrackingPixel, tracker

if TYPE_CHECKING:
    from decimal import Decimal

    from django.db.models import Manager, Model, QuerySet
    from django.http import HttpRequest

    from tracking.audience import Engagement

__all__ = ["TrackingPixel", "arecord", "engagement", "record", "tracker"]

_Row = TypeVar("_Row", bound="Model")


def record(
    name: str,
    request: "HttpRequest | None" = None,
    *,
    entity: "Model | None" = None,
    source: "Model | None" = None,
    value: "Decimal | float | None" = None,
    **data: Any,
) -> None:
    """Record an event: something that happened on the site, such as a purchase.

    It is credited to the last mailing in which its person followed a link
    (``TRACKING_ATTRIBUTION_DAYS``). It becomes a row when the transaction is committed, and none
    if that is rolled back. Whatever fails is logged.

    In an event loop it returns at once; use :func:`arecord` to wait until the event is safe.

    Args:
        name: what happened, in at most 100 characters.
        request: the request in which it happened; it tells who the visitor is.
        entity: who did it, a saved row of any model. By default the recipient of the mailing.
        source: what led to it, a saved row of any model, instead of the mailing.
        value: what it is worth, smaller than 10,000,000,000. It is rounded to two decimals.
        data: anything else that fits JSON, in 8,192 bytes. Texts are cut to 512 characters.

    Raises:
        TypeError, ValueError: an argument is wrong. Only with ``DEBUG`` and in tests; in production
            it is one line in the log.
    """
    from tracking import events  # noqa: PLC0415 - its models need Django's apps

    events.send(name, request, entity=entity, source=source, value=value, data=data)


async def arecord(
    name: str,
    request: "HttpRequest | None" = None,
    *,
    entity: "Model | None" = None,
    source: "Model | None" = None,
    value: "Decimal | float | None" = None,
    **data: Any,
) -> None:
    """Record an event, in an event loop, and wait until the backend has it.

    Args:
        name: as for :func:`record`, as are all others.
        request: the request in which it happened.
        entity: who did it.
        source: what led to it.
        value: what it is worth.
        data: anything else that fits JSON.

    Raises:
        TypeError, ValueError: as for :func:`record`.
    """
    from tracking import events  # noqa: PLC0415 - see above

    await events.asend(name, request, entity=entity, source=source, value=value, data=data)


def engagement(rows: "QuerySet[_Row] | Manager[_Row]") -> "Engagement[_Row]":
    """Return what chooses some rows by what they did as recipients.

    Args:
        rows: a QuerySet or a manager of the model whose rows are entities of beacons.

    Raises:
        TypeError: the primary key of the model is no integer, UUID or text.
    """
    from tracking.audience import Engagement  # noqa: PLC0415 - see above

    return Engagement(rows.all())
