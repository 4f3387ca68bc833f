"""Who opened, who clicked, who did not: the site's own rows, as QuerySets.

    readers = tracking.engagement(Subscriber.objects.filter(is_active=True))
    readers.opened("spring-letter").count()
    for subscriber in readers.did_not_open("spring-letter"):
        ...

What opened and clicked mean is read from :mod:`tracking.rollups.metric_definitions`, as in reports.

Each result is a condition on the QuerySet that was given: ``key IN (SELECT ...)`` where a campaign
is named, whose beacons are read once, by the index over sources; ``EXISTS (SELECT ...)`` where none
is, which looks into the index over entities for each row.
"""

import re
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)

from tracking.audience.recipient_keys import (
    KeyAsText,
    KeyOfEntity,
    RefersTo,
    key_field,
    same_rows,
)
from tracking.hits import Kind, Reference
from tracking.mail.campaigns import slug_of
from tracking.models import Beacon, ConsentState, MailConsent, Source
from tracking.models.beacons import BeaconQuerySet
from tracking.recording.provider_events import PIXEL
from tracking.rollups.metric_definitions import ACTIONS, beacons_with

Row = TypeVar("Row", bound=Model)

#: A campaign: any row that beacons have as their source, or the slug or name of a ``Source``.
Campaign = Model | str

_SENT = beacons_with(ACTIONS["sent"])
_OPENED = beacons_with(ACTIONS["opened"])
_CLICKED = beacons_with(ACTIONS["clicked"])
_ANY_HIT = beacons_with(ACTIONS["any_hit"])
_BOUNCED = beacons_with(ACTIONS["bounced"])

#: A text that is a slug as it is.
_SLUG = re.compile(r"\A[-\w]{1,100}\Z", re.ASCII)

#: What a person did, so that a recipient is active.
_ACTIVE = _OPENED | beacons_with(ACTIONS["converted"])

#: A message that cannot show whether it was opened.
_WITHOUT_PIXEL = Q(kind=Kind.SENT, **{f"data__{PIXEL}": False})


class Engagement(Generic[Row]):
    """Chooses rows of one QuerySet by what they did as recipients.

    Every method returns a QuerySet of the same model, with all that the given one had: it can be
    filtered, counted, joined with ``|`` and ``&``, updated and deleted. It makes one query, when it
    is evaluated.

    Args:
        rows: the rows of the site: those that messages and links have as ``entity``.

    Raises:
        TypeError: the primary key is no integer, UUID or text.
    """

    def __init__(self, rows: QuerySet[Row]) -> None:
        self._rows = rows
        self._key = key_field(rows.model)
        self._labels = [model._meta.label_lower for model in same_rows(rows.model)]

    def sent(
        self,
        campaign: Campaign,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows to which a campaign was sent.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
            since: count only what was sent at or after this moment (aware).
            until: count only what was sent before this moment (aware).
        """
        return self._among(_of(campaign).filter(_SENT, _between(since, until)))

    def not_sent(self, campaign: Campaign) -> QuerySet[Row]:
        """Return the rows to which a campaign was not sent, or not yet.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
        """
        return self._rows.exclude(self._did(_of(campaign).filter(_SENT)))

    def bounced(
        self,
        campaign: Campaign,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows whose message bounced, as the mail provider reported.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
            since: count only what was reported at or after this moment (aware).
            until: count only what was reported before this moment (aware).
        """
        return self._among(_of(campaign).filter(_BOUNCED, _between(since, until)))

    def opened(
        self,
        campaign: Campaign,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows that opened a campaign: confirmed, proxied, or clicked without an image.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
            since: count only what happened at or after this moment (aware).
            until: count only what happened before this moment (aware).
        """
        return self._among(_of(campaign).filter(_OPENED, _between(since, until)))

    def clicked(
        self,
        campaign: Campaign | None = None,
        *,
        link: Model | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows that followed a link themselves.

        Args:
            campaign: the source row, or the slug or name of a ``Source``; ``None`` for any.
            link: only this link: the URL that it leads to, or the row that is its target.
            since: count only clicks at or after this moment (aware).
            until: count only clicks before this moment (aware).

        Raises:
            TypeError: neither a campaign nor a link is given.
        """
        if campaign is None and link is None:
            raise TypeError("clicked() needs a campaign or a link.")
        clicks = Beacon.objects.all() if campaign is None else _of(campaign)
        clicks = clicks.filter(_CLICKED, _between(since, until))
        if isinstance(link, str):
            clicks = clicks.filter(url=link)
        elif link is not None:
            clicks = clicks.filter(*_reference("target", link))
        return self._among(clicks)

    def did_not_open(
        self,
        campaign: Campaign,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows that got a campaign and did not open it.

        Those of whom that is unknown are not among them, see :meth:`open_unknown`, nor those whose
        message bounced.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
            since: count only opens and clicks at or after this moment (aware).
            until: count only opens and clicks before this moment (aware).
        """
        between = _between(since, until)
        return self._rows.filter(pk__in=self._unopened(campaign, between, Q(unclear=0)))

    def open_unknown(
        self,
        campaign: Campaign,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> QuerySet[Row]:
        """Return the rows that got a campaign, and that may have opened it or not.

        Only machines loaded the image or followed a link, the message had no pixel, or the
        recipient refuses that opens are recorded.

        Args:
            campaign: the source row, or the slug or name of a ``Source``.
            since: count only opens and clicks at or after this moment (aware).
            until: count only opens and clicks before this moment (aware).
        """
        between = _between(since, until)
        return self._rows.filter(pk__in=self._unopened(campaign, between, Q(unclear__gt=0)))

    def active(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[Row]:
        """Return the rows that opened, clicked or reached a goal, in any campaign or none.

        Args:
            since: count only what happened at or after this moment (aware).
            until: count only what happened before this moment (aware).
        """
        return self._rows.filter(self._was_active(since, until))

    def last_active_before(self, moment: datetime) -> QuerySet[Row]:
        """Return the rows that were active before a moment, and not since.

        Those that never were are in :meth:`never_active`. ``|`` joins the two.

        Args:
            moment: the moment (aware).
        """
        return self._rows.filter(self._was_active(None, moment), ~self._was_active(moment, None))

    def never_active(self) -> QuerySet[Row]:
        """Return the rows that neither opened nor clicked nor reached a goal."""
        return self._rows.exclude(self._was_active(None, None))

    def _unopened(self, campaign: Campaign, between: Q, which: Q) -> QuerySet[Any, Any]:
        """Return the keys of some of the recipients who did not open a campaign."""
        # Who has refused by now may have opened it since: nothing of that is recorded.
        refuses = Q(Exists(self._refused().filter(key=OuterRef("entity_id"))))
        groups = _of(campaign).filter(self._refers_here()).values(key=KeyOfEntity(self._key))
        counted = groups.annotate(
            sent=Count("pk", filter=_SENT),
            opened=Count("pk", filter=_OPENED & between),
            unclear=Count("pk", filter=_ANY_HIT & between | _WITHOUT_PIXEL | _SENT & refuses),
            bounced=Count("pk", filter=_BOUNCED),
        )
        return counted.filter(which, sent__gt=0, bounced=0, opened=0).values("key")

    def _refused(self) -> QuerySet[MailConsent]:
        """Return who refuses that its opens are recorded."""
        return MailConsent.objects.filter(label__in=self._labels, opens=ConsentState.DENIED)

    def _among(self, beacons: BeaconQuerySet) -> QuerySet[Row]:
        """Return the rows that are entities of some beacons."""
        keys = beacons.filter(self._refers_here()).values_list(KeyOfEntity(self._key))
        return self._rows.filter(pk__in=keys)

    def _was_active(self, since: datetime | None, until: datetime | None) -> Q:
        return self._did(Beacon.objects.filter(_ACTIVE, _between(since, until)))

    def _did(self, beacons: BeaconQuerySet) -> Q:
        """Return whether a row is the entity of one of some beacons."""
        mine = beacons.filter(entity_id=KeyAsText(OuterRef("pk"), self._key))
        found = Q()
        for label in self._labels:  # one by one: MariaDB looks nothing up in an index for a list
            found |= Q(Exists(mine.filter(RefersTo("entity_type_id", [label]))))
        return found

    def _refers_here(self) -> RefersTo:
        return RefersTo("entity_type_id", self._labels)


def _of(campaign: Campaign) -> BeaconQuerySet:
    """Return the beacons of a campaign."""
    if isinstance(campaign, Model):
        return Beacon.objects.filter(*_reference("source", campaign))
    slug = slug_of(campaign) if campaign else ""
    named = Case(When(slug=campaign, then=0), default=1) if _SLUG.match(campaign) else "pk"
    sources = Source.objects.filter(slug__in={slug, *_SLUG.findall(campaign)}).order_by(named)
    key = sources.values_list(KeyAsText(F("pk"), key_field(Source)))[:1]
    is_source = RefersTo("source_type_id", [Source._meta.label_lower])
    return Beacon.objects.filter(is_source, source_id=Subquery(key))


def _reference(role: str, row: Model) -> tuple[RefersTo, Q]:
    label, pk = Reference.to(row)
    return RefersTo(f"{role}_type_id", [label]), Q(**{f"{role}_id": pk})


def _between(since: datetime | None, until: datetime | None) -> Q:
    condition = Q()
    if since is not None:
        condition &= Q(time__gte=since)
    if until is not None:
        condition &= Q(time__lt=until)
    return condition
