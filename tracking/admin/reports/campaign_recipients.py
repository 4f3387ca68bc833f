"""The recipients of a mailing, one by one."""

from typing import Any

from django.utils.translation import gettext

from tracking.admin import columns
from tracking.admin.related_objects import RelatedObjects, may_view_all
from tracking.admin.reports.pages import LINES, page_number, paging
from tracking.admin.reports.sections import TEXT, TIME, Block, Cell, Head, Line
from tracking.admin.reports.source_object import Subject
from tracking.admin.reports.urls import Addresses
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN
from tracking.reports.recipients import Recipient, Recipients, State, recipients
from tracking.rollups.definitions import TERMS

#: Characters of a search.
MAX_SEARCH = 200


def listed(subject: Subject) -> dict[str, Any]:
    """Return what the page shows of the recipients."""
    params = subject.request.GET
    state, search = params.get("state", ""), params.get("q", "")
    number = page_number(subject.request)
    found = recipients(
        subject.reference,
        search="" if "\0" in search else search[:MAX_SEARCH],
        state=state if state in State.values else None,
        limit=LINES,
        offset=(number - 1) * LINES,
        searched=lambda model: may_view_all(model, subject.request, subject.site),
        site=subject.site,
    )
    state = found.state or ""
    kept = {"state": state, "q": found.search}
    addresses = Addresses(
        subject.request.path, {name: value for name, value in kept.items() if value}
    )
    return {
        "path": subject.path_to("tracking_report_recipients"),
        "search": found.search,
        "state": state,
        "states": [
            {
                "text": text,
                "url": addresses.to({"state": value or None}, at="recipients"),
                "is_chosen": value == state,
            }
            for value, text in [("", gettext("All")), *State.choices]
        ],
        "is_cut": found.is_cut,
        "recipients": _recipients_block(subject, found),
        "page": paging(addresses, number, len(found.rows), found.total, at="recipients"),
    }


def elsewhere(subject: Subject) -> dict[str, Any]:
    """Return what leads to the recipients of a large mailing."""
    return {
        "path": subject.path_to("tracking_report_recipients"),
        "csv_url": subject.path_to("tracking_report_csv", "recipients"),
    }


def _recipients_block(subject: Subject, found: Recipients) -> Block:
    rows = RelatedObjects((one.entity for one in found.rows), subject.request, subject.site)
    is_narrowed = bool(found.search or found.state)
    return Block(
        key="recipients",
        title=gettext("Recipients"),
        heads=[
            Head(gettext("Recipient"), kind=TEXT),
            Head(gettext("State"), kind=TEXT),
            Head(gettext("First"), gettext("The first open or click by anybody."), kind=TEXT),
            Head(gettext("Last"), gettext("The last open or click by anybody."), kind=TEXT),
            *(Head(*map(str, TERMS[name])) for name in ("opens", "clicks")),
        ],
        rows=[_recipient(one, rows) for one in found.rows],
        empty=gettext("None of the recipients is like this.")
        if is_narrowed
        else gettext("Beacons with an entity are listed here; none has one yet."),
        hint=gettext("Only recipients with an entity have a name and are listed."),
        csv_url=subject.path_to("tracking_report_csv", "recipients"),
    )


def _recipient(one: Recipient, rows: RelatedObjects) -> Line:
    return Line(
        name=rows.name(one.entity),
        url=rows.url(one.entity) or "",
        cells=[
            Cell(str(one.state.label), TEXT),
            Cell(columns.exact_time(one.first_at) if one.first_at else UNKNOWN, TIME),
            Cell(columns.exact_time(one.last_at) if one.last_at else UNKNOWN, TIME),
            Cell(formatting.count(one.opens)),
            Cell(formatting.count(one.clicks)),
        ],
    )
