"""What became of the messages of a mailing, as mail providers report it, by mailbox provider.

    report = campaign(source).delivery
    report.total.delivered, report.total.bounce_rate
    for line in report.by_mailbox: line.mailbox, line.complained

A figure is ``None`` where nothing is known. Zero complaints are known only where complaints are
reported at all: by the site's mail provider, and by the mailbox provider to that.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import router
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.db.selects import select
from tracking.enrichment.mailbox_providers import WITHOUT_COMPLAINTS, Mailbox
from tracking.hits import DELIVERY_KINDS, Kind
from tracking.models import Beacon
from tracking.reports.figures import share
from tracking.rollups.metric_definitions import OUTCOMES, TERMS, Term

#: The mailbox provider of the total.
ALL = "all"

#: Lines after all others.
_LAST = frozenset({Mailbox.OTHER.value, ""})

_BOUNCES = ("hard", "soft", "rejected")

#: The figures of a line in the order in which they are shown, with their meanings.
COLUMNS: Mapping[str, Term] = {
    "sent": TERMS["sent"],
    "delivered": TERMS["delivered"],
    "hard": Term(_("Hard bounces"), _("The address does not exist.")),
    "soft": Term(
        _("Soft bounces"), _("The recipient's server refused this message, or refused it then.")
    ),
    "rejected": Term(
        _("Rejected"), _("The mail provider did not try, as with an address that bounced before.")
    ),
    "deferred": Term(_("Deferred"), _("The recipient's server asked to try again later.")),
    "complained": Term(
        _("Complaints"),
        _("The recipient called it spam. Gmail and Apple do not tell who did."),
    ),
    "unsubscribed": Term(_("Unsubscribed"), _("As the mail provider reports it.")),
}

#: Of what each figure is a share.
RATES = {
    "delivered": "sent",
    "hard": "sent",
    "soft": "sent",
    "rejected": "sent",
    "deferred": "sent",
    "complained": "delivered",
    "unsubscribed": "delivered",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """Recipients by what became of their messages; ``None`` where that is not known.

    Attributes:
        mailbox: the mailbox provider, of :class:`tracking.enrichment.mailbox_providers.Mailbox`;
            ``""`` if it is not known, and :data:`ALL` for all of them.
        sent: recipients to whom a message was sent.
        delivered: whose server has taken it.
        bounced: whose server has refused it, or for whom the provider did not try.
        hard: of those, with an address that does not exist.
        soft: of those, for other reasons of their server.
        rejected: of those, for whom the provider did not try.
        deferred: for whom it was tried again later.
        complained: who called it spam.
        unsubscribed: who unsubscribed with the provider.
    """

    mailbox: str
    sent: int | None
    delivered: int | None
    bounced: int | None
    hard: int | None
    soft: int | None
    rejected: int | None
    deferred: int | None
    complained: int | None
    unsubscribed: int | None

    def rate(self, name: str) -> float | None:
        """Return a figure as a share of the recipients it was sent or delivered to, 0 to 1.

        Args:
            name: one of :data:`RATES`.
        """
        whole = self.sent if RATES[name] == "sent" else self.delivered or self.sent
        return share(getattr(self, name), whole)

    @property
    def delivered_rate(self) -> float | None:
        """Share of the recipients it was sent to that it was delivered to, 0 to 1."""
        return self.rate("delivered")

    @property
    def bounce_rate(self) -> float | None:
        """Share of the recipients it was sent to for whom it bounced, 0 to 1."""
        return share(self.bounced, self.sent)

    @property
    def complaint_rate(self) -> float | None:
        """Share of the recipients it was delivered to that complained, 0 to 1."""
        return self.rate("complained")

    @property
    def unsubscribe_rate(self) -> float | None:
        """Share of the recipients it was delivered to that unsubscribed, 0 to 1."""
        return self.rate("unsubscribed")

    @property
    def has_events(self) -> bool:
        """Whether a mail provider has reported anything."""
        return any(getattr(self, kind.value) is not None for kind in DELIVERY_KINDS)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        rates = ("delivered_rate", "bounce_rate", "complaint_rate", "unsubscribe_rate")
        return {**asdict(self), **{name: getattr(self, name) for name in rates}}


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryReport:
    """What became of the messages of a mailing.

    Attributes:
        total: all recipients.
        by_mailbox: the same by mailbox provider, the one with most recipients first, and all
            others last.
    """

    total: Delivery
    by_mailbox: tuple[Delivery, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "total": self.total.as_dict(),
            "by_mailbox": [line.as_dict() for line in self.by_mailbox],
        }


def delivery(counted: Mapping[str, int]) -> DeliveryReport:
    """Return what became of the messages of a mailing.

    Args:
        counted: recipients by outcome and mailbox provider, of the facet ``delivery``.
    """
    by_mailbox: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    for value, number in counted.items():
        outcome, _blank, mailbox = value.partition(" ")
        by_mailbox.setdefault(mailbox, Counter())[outcome] += number
        total[outcome] += number
    reported = _reported_kinds(total)
    order = sorted(by_mailbox, key=lambda name: (name in _LAST, -by_mailbox[name].total(), name))
    return DeliveryReport(
        total=_line(ALL, total, reported),
        by_mailbox=tuple(_line(name, by_mailbox[name], reported) for name in order),
    )


def _line(mailbox: str, counted: Counter[str], reported: Iterable[str]) -> Delivery:
    known = set(reported) if any(counted[kind] for kind in DELIVERY_KINDS) else set()
    if mailbox in WITHOUT_COMPLAINTS:
        known.discard(Kind.COMPLAINED.value)
    if Kind.BOUNCED.value in known:
        known.update(_BOUNCES)
    numbers = {name: counted[name] if counted[name] or name in known else None for name in OUTCOMES}
    return Delivery(mailbox=mailbox, **numbers)


def _reported_kinds(counted: Mapping[str, int]) -> set[str]:
    """Return the kinds of events that the site's mail provider reports, if only now and then."""
    kinds = [kind.value for kind in DELIVERY_KINDS]
    found = {kind for kind in kinds if counted[kind]}
    if not found:
        return set()  # nothing is known of this mailing, whatever is of others
    unknown = [kind for kind in kinds if kind not in found]
    if unknown:
        table = Beacon._meta.db_table
        asked = ", ".join(
            f"EXISTS(SELECT 1 FROM {table} WHERE kind = %s)"  # noqa: S608 - a name of our own
            for _each in unknown
        )
        using = router.db_for_read(Beacon)
        (row,) = select(f"SELECT {asked}", unknown, [None] * len(unknown), using)
        found |= {kind for kind, exists in zip(unknown, row, strict=True) if exists}
    return found


def mailbox_label(mailbox: str) -> str:
    """Return the name of the mailbox provider of a line.

    Args:
        mailbox: its value.
    """
    if mailbox == ALL:
        return gettext("All")
    return str(Mailbox(mailbox).label) if mailbox in Mailbox.values else gettext("Unknown")
