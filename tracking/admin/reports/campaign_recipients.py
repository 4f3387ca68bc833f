"""The recipients of a campaign report."""

from typing import Any

from django.contrib.admin.utils import quote
from django.utils.translation import gettext

from tracking.admin import columns
from tracking.admin.related_objects import RelatedObjects, may_view_all
from tracking.admin.reports.page_urls import PageUrls
from tracking.admin.reports.pages import ROWS_PER_PAGE, page_number, paging
from tracking.admin.reports.sections import STATE, TEXT, TIME, Cell, Column, Section, TableRow
from tracking.admin.reports.source_object import SourceObject
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN
from tracking.reports.recipient_states import ALL, Group, State
from tracking.reports.recipients import Recipient, Recipients, recipients
from tracking.rollups.metric_definitions import TERMS

#: The maximum length of a search.
MAX_SEARCH = 200


def list_context(source: SourceObject) -> dict[str, Any]:
    """Return the template context of the list of recipients."""
    number = page_number(source.request)
    found = recipients(
        source.reference,
        limit=ROWS_PER_PAGE,
        offset=(number - 1) * ROWS_PER_PAGE,
        **chosen(source),
    )
    state = found.state or ""
    kept = {"state": str(state), "q": found.search}
    page_urls = PageUrls(
        source.request.path, {name: value for name, value in kept.items() if value}
    )
    return {
        "path": source.path_to("tracking_report_recipients"),
        "search": found.search,
        "state": state,
        "states": [
            {
                "text": text,
                "number": formatting.count(found.numbers[value or ALL]),
                "url": page_urls.to({"state": value or None}, at="recipients"),
                "is_chosen": value == state,
            }
            for value, text in [("", gettext("All")), *Group.choices, *State.choices]
        ],
        "is_cut": found.is_cut,
        "recipients": _recipients_section(source, found, page_urls),
        "page": paging(page_urls, number, len(found.rows), found.total, at="recipients"),
    }


def chosen(source: SourceObject) -> dict[str, Any]:
    """Return the recipients that the request asks for, as arguments of ``recipients``."""
    params = source.request.GET
    state, search = params.get("state", ""), params.get("q", "")
    return {
        "search": "" if "\0" in search else search[:MAX_SEARCH],
        "state": state if state in {*State.values, *Group.values} else None,
        "searched": lambda model: may_view_all(model, source.request, source.site),
        "site": source.site,
    }


def link_context(source: SourceObject) -> dict[str, Any]:
    """Return the template context of the link to the recipients of a large mailing."""
    return {
        "path": source.path_to("tracking_report_recipients"),
        "csv_url": source.path_to("tracking_report_csv", "recipients"),
    }


def _recipients_section(source: SourceObject, found: Recipients, page_urls: PageUrls) -> Section:
    rows = RelatedObjects((one.entity for one in found.rows), source.request, source.site)
    is_filtered = bool(found.search or found.state)
    return Section(
        key="recipients",
        title=gettext("Recipients"),
        heads=[
            Column(gettext("Recipient"), kind=TEXT),
            Column(gettext("State"), kind=TEXT),
            Column(gettext("First"), gettext("First open or click, also by machines."), kind=TEXT),
            Column(gettext("Last"), gettext("Last open or click, also by machines."), kind=TEXT),
            *(Column(*map(str, TERMS[name])) for name in ("opens", "clicks")),
        ],
        rows=[_recipient(one, rows, source) for one in found.rows],
        empty=gettext("No matching recipients.")
        if is_filtered
        else gettext("No recipients yet: no beacon has an entity."),
        hint=gettext("Only recipients with an entity are listed. The figures above count all."),
        csv_url=page_urls.to({}, path=source.path_to("tracking_report_csv", "recipients")),
    )


def _recipient(one: Recipient, rows: RelatedObjects, source: SourceObject) -> TableRow:
    entity = one.entity
    return TableRow(
        name=rows.name(entity),
        url=rows.url(entity) or "",
        cells=[
            Cell(
                str(one.state.label),
                STATE,
                gettext("What they did"),
                source.path_to("tracking_report_journey", entity.label, quote(entity.pk)),
            ),
            Cell(columns.exact_time(one.first_at) if one.first_at else UNKNOWN, TIME),
            Cell(columns.exact_time(one.last_at) if one.last_at else UNKNOWN, TIME),
            Cell(formatting.count(one.opens)),
            Cell(formatting.count(one.clicks)),
        ],
    )
