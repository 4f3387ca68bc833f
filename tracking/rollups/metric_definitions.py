"""What the words of the reports mean. Counted days, live figures, lists and files read it here.

Recipient
    The entity of a beacon; without one the visitor's key; without that the recorded address and
    user agent, on one day of the site's time zone.

Unique
    A number of recipients. About one object (a mailing, a target, a link of a mailing) each
    recipient counts once, whatever the days. About the whole site each counts once a day, and
    days are added up: those figures are called *daily unique*.

Open, click
    An open is an image that a person loaded, or a mail provider for a person. A click is a link
    that a person followed. What machines loaded or followed is shown separately.

Opened
    A recipient who has seen the message: *confirmed* (loaded the image), *proxied* (only the mail
    provider loaded it for them) or *clicked without image*. Nobody is in two of the three: the
    first that is true counts. Recipients for whom only machines did anything are *machine only*.
    Nobody knows the exact number: it is at least the confirmed ones, and at most all of them,
    those of machines included.

Reached
    The recipients a message was sent to, without those it bounced for; where bounces are unknown,
    those it was delivered to, or else sent to. All rates of a mailing are shares of them.

Visit, visitor
    A run of pages by a person's browser, ended by 30 minutes of inactivity; and that browser.
    Visitors count once a day, and days are added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db.models import Case, F, IntegerField, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from tracking.enrichment.verdict_rules import Label
from tracking.hits import DELIVERY_KINDS, Kind
from tracking.rollups.sql_text import joined

#: Raised when what is counted changes: days counted before are counted again.
VERSION = "7"

HUMAN = Label.HUMAN.value

#: Kind and verdict of a beacon.
Sign = tuple[str, str]

_OPEN: Sign = (Kind.OPEN.value, HUMAN)
_PROXIED_OPEN: Sign = (Kind.OPEN.value, Label.PROXY.value)
_CLICK: Sign = (Kind.CLICK.value, HUMAN)


def _by_anybody(kind: str) -> frozenset[Sign]:
    return frozenset((kind, label) for label in Label.values)


#: What a recipient has done, with the beacons that show it: one of them is enough. Each action
#: counts a recipient once, on the day of the first such beacon.
ACTIONS: Mapping[str, frozenset[Sign]] = {
    "sent": _by_anybody(Kind.SENT.value),
    "delivered": _by_anybody(Kind.DELIVERED.value),
    "bounced": _by_anybody(Kind.BOUNCED.value),
    "opened": frozenset({_OPEN, _PROXIED_OPEN, _CLICK}),
    "image_loaded": frozenset({_OPEN, _PROXIED_OPEN}),
    "confirmed": frozenset({_OPEN}),
    "clicked": frozenset({_CLICK}),
    "any_click": _by_anybody(Kind.CLICK.value),
    "any_hit": _by_anybody(Kind.OPEN.value) | _by_anybody(Kind.CLICK.value),
    "converted": frozenset({(Kind.EVENT.value, HUMAN)}),
}

#: What is known of a recipient, the strongest state first, with the beacons that show this state
#: or a stronger one. A difference of two numbers is that of recipients in one state. ``None``: any
#: beacon.
STATES: Mapping[str, frozenset[Sign] | None] = {
    "confirmed": ACTIONS["confirmed"],
    "proxied": ACTIONS["image_loaded"],
    "without_image": ACTIONS["opened"],
    "machine": ACTIONS["any_hit"],
    "nothing": None,
}

#: Groups of recipients, each of several states.
GROUPS: Mapping[str, frozenset[Sign]] = {name: ACTIONS[name] for name in ("opened", "clicked")}


#: Kinds that say what became of a message.
MAIL_KINDS = (Kind.SENT.value, *(kind.value for kind in DELIVERY_KINDS))

#: What can become of a message. Of the bounces, a part each is hard, soft or rejected.
OUTCOMES = (*MAIL_KINDS, "hard", "soft", "rejected")


class OpenedParts(NamedTuple):
    """Recipients who opened, and those for whom only machines did. Nobody is in two of them.

    Attributes:
        confirmed: they loaded the image themselves.
        proxied: only their mail provider loaded it for them.
        without_image: they clicked, and neither loaded it.
        machine: only machines loaded it or followed a link.
    """

    confirmed: int = 0
    proxied: int = 0
    without_image: int = 0
    machine: int = 0

    @property
    def unique(self) -> int:
        """Recipients who opened: confirmed, proxied and without image."""
        return self.confirmed + self.proxied + self.without_image

    @property
    def at_least(self) -> int:
        """Recipients who opened beyond doubt: the confirmed ones."""
        return self.confirmed

    @property
    def at_most(self) -> int:
        """Recipients who may have opened: those of machines, too."""
        return self.unique + self.machine


def opened_parts(uniques: Mapping[str, int]) -> OpenedParts:
    """Return the parts of the recipients who opened.

    Args:
        uniques: recipients by action, of :data:`ACTIONS`.
    """
    return OpenedParts(
        confirmed=uniques["confirmed"],
        proxied=uniques["image_loaded"] - uniques["confirmed"],
        without_image=uniques["opened"] - uniques["image_loaded"],
        machine=uniques["any_hit"] - uniques["opened"],
    )


def reached(sent: int | None, delivered: int | None, bounced: int | None) -> int | None:
    """Return how many recipients a message has reached, or ``None`` if that is unknown.

    Args:
        sent: recipients to whom it was sent, or ``None`` if no sending was recorded.
        delivered: likewise, to whom it was delivered.
        bounced: likewise, for whom it bounced.
    """
    if sent is not None and bounced is not None:
        return max(sent - bounced, 0) or None
    return delivered or sent or None


def beacons_with(signs: Iterable[Sign]) -> Q:
    """Return the condition that a beacon is of one of these kinds and verdicts."""
    labels: dict[str, set[str]] = defaultdict(set)
    for kind, label in signs:
        labels[kind].add(label)
    condition = Q(pk__in=[])
    for kind, some in sorted(labels.items()):
        is_any = some == set(Label.values)
        condition |= Q(kind=kind) if is_any else Q(kind=kind, verdict__in=sorted(some))
    return condition


#: Kind and verdict of beacons that are opens or clicks, as counts have them: ``"open proxy"``.
OPEN_OR_CLICK = frozenset(" ".join(sign) for sign in ACTIONS["opened"])

#: Opens and clicks, those of mail proxies for people included.
OPENS = beacons_with(ACTIONS["image_loaded"])
CLICKS = beacons_with(ACTIONS["clicked"])
OPENS_AND_CLICKS = OPENS | CLICKS

#: Opens and clicks whose address and user agent are those of people.
HUMAN_HITS = Q(verdict=HUMAN, kind__in=[Kind.OPEN, Kind.CLICK])


def state_rank() -> Case:
    """Return the expression of the state of a recipient that one beacon shows, as its rank.

    The largest of a recipient's beacons counts: :func:`rank_of_state`.
    """
    return Case(
        *(
            When(beacons_with(signs), then=Value(rank_of_state(name)))
            for name, signs in STATES.items()
            if signs is not None
        ),
        default=Value(rank_of_state("nothing")),
        output_field=IntegerField(),
    )


def rank_of_state(name: str) -> int:
    """Return the rank of one of :data:`STATES`, the largest for the strongest."""
    return len(STATES) - list(STATES).index(name)


#: Beacons whose recipient is an entity.
HAS_ENTITY = Q(entity_type__isnull=False, entity_id__isnull=False)


def recipient(day: Combinable | None = None) -> Combinable:
    """Return the expression of the recipient of a beacon.

    Args:
        day: the number of the day; not needed where beacons of one day are counted.
    """
    number = "" if day is None else Cast(day, TextField())
    return _by_recipient(
        joined("e", Cast("entity_type_id", TextField()), ":", F("entity_id")),
        joined("v", F("visitor_id")),
        joined("a", _ADDRESS, " ", number, " ", F("user_agent")),
        TextField(),
    )


def mail_recipient(day: Combinable | None = None) -> Combinable:
    """Return the expression of the recipient of a message, or else of the message, on one day.

    Args:
        day: the number of the day; not needed where beacons of one day are counted.
    """
    number = "" if day is None else Cast(day, TextField())
    message = Coalesce(KT("data__message_id"), Value("", output_field=TextField()))
    return Case(
        When(HAS_ENTITY, then=recipient()),
        default=joined("m", number, " ", message),
        output_field=TextField(),
    )


def recipient_columns() -> dict[str, Combinable]:
    """Return two columns that together are the recipient of a beacon on one day.

    Databases group by them faster than by the text of :func:`recipient`.
    """
    kind = _by_recipient(F("entity_type_id"), Value(-1), Value(-2), IntegerField())
    unknown = joined(_ADDRESS, " ", F("user_agent"))
    who = _by_recipient(F("entity_id"), F("visitor_id"), unknown, TextField())
    return {"who_kind": kind, "who": who}


_ADDRESS = Coalesce(Cast("ip_address", TextField()), Value("", output_field=TextField()))


def _by_recipient(entity: Any, visitor: Any, unknown: Any, output_field: Any) -> Combinable:
    return Case(
        When(HAS_ENTITY, then=entity),
        When(visitor_id__isnull=False, then=visitor),
        default=unknown,
        output_field=output_field,
    )


def is_entity(who: str) -> bool:
    """Return whether a recipient, as :func:`recipient` says, is an entity."""
    return who.startswith("e")


#: The visitor's key where that is the recipient, and else ``NULL``.
RECOGNIZED_VISITOR = Case(When(~HAS_ENTITY, then=F("visitor_id")), output_field=TextField())


class Term(NamedTuple):
    """A word of the reports, and what it means in one or two sentences, translated when shown."""

    title: Any
    explanation: Any


#: The words for figures. Whatever shows one of these figures shows this word.
TERMS: Mapping[str, Term] = {
    "visitors": Term(
        _("Visitors"),
        _(
            "Browsers of people that began a visit, each counted once a day (once an hour in a "
            "chart by the hour). The days of a period are added up."
        ),
    ),
    "visits": Term(_("Visits"), _("A visit ends after 30 minutes of inactivity.")),
    "page_views": Term(_("Page views"), _("Pages seen by people.")),
    "bounce_rate": Term(_("Bounce rate"), _("Share of visits with only one page.")),
    "visit_length": Term(
        _("Visit length"), _("Average time from the first page of a visit to its last.")
    ),
    "opens": Term(
        _("Opens"),
        _(
            "Images loaded by people, or by their mail providers for them. Machines are shown "
            "separately."
        ),
    ),
    "daily_unique_opens": Term(
        _("Opened (daily unique)"),
        _(
            "Recipients who loaded an image, whose mail provider loaded it for them, or who "
            "clicked without loading it. Each is counted once a day (once an hour in a chart by "
            "the hour), and the days of a period are added up. Unknown readers are counted by "
            "browser."
        ),
    ),
    "clicks": Term(_("Clicks"), _("Links followed by people. Machines are shown separately.")),
    "daily_unique_clicks": Term(
        _("Clicked (daily unique)"),
        _(
            "Recipients who followed a link, each counted once a day (once an hour in a chart by "
            "the hour). The days of a period are added up. Unknown readers are counted by browser."
        ),
    ),
    "sent": Term(_("Sent"), _("Recipients to whom a message was sent.")),
    "delivered": Term(
        _("Delivered"), _("Recipients whose message arrived, as your site or mail provider says.")
    ),
    "bounced": Term(_("Bounced"), _("Recipients whose message could not be delivered.")),
    "reached": Term(
        _("Reached"),
        _("Recipients it was sent to, without those it bounced for. All rates are shares of them."),
    ),
    "opened": Term(
        _("Opened"),
        _(
            "Recipients who loaded the image, whose mail provider loaded it for them, or who "
            "clicked without loading it. Each is counted once."
        ),
    ),
    "range": Term(
        _("At least, at most"),
        _(
            "Nobody knows the exact number. At least the confirmed recipients have opened. At most "
            "all have for whom anything was loaded or followed, be it by a machine."
        ),
    ),
    "confirmed": Term(_("Confirmed"), _("The recipient's own program loaded the image.")),
    "proxied": Term(
        _("Proxied"),
        _("Only the recipient's mail provider loaded the image, which hides who and where."),
    ),
    "without_image": Term(
        _("Clicked without image"), _("The recipient followed a link and loaded no image.")
    ),
    "machine": Term(
        _("Machine only"),
        _("Only machines loaded the image or followed a link. Not counted as opened."),
    ),
    "nothing": Term(
        _("Nothing recorded"),
        _("Nothing was loaded or followed. Programs that show no images leave no trace."),
    ),
    "clicked": Term(
        _("Clicked"), _("Recipients who followed a link themselves. Each is counted once.")
    ),
    "goal": Term(_("Goal"), _("Recipients who did what your site reports as its event.")),
}
