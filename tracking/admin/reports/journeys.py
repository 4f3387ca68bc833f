"""What recipients of a mailing did: one of them step by step, and the pages of all."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext

from tracking.admin import charts, columns
from tracking.admin.related_objects import RelatedObjects
from tracking.admin.reports.sections import TEXT, TIME, Cell, Column, Section, TableRow, outside
from tracking.admin.reports.source_object import SourceObject
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Reference
from tracking.reports import formatting
from tracking.reports.campaigns import Campaign
from tracking.reports.filters import reference_of
from tracking.reports.journeys import TITLES, Journey, Step, journey, next_pages
from tracking.reports.periods import BadQuery
from tracking.rollups.metric_definitions import HUMAN, TERMS


def page_context(source: SourceObject, label: str, pk: str) -> dict[str, Any]:
    """Return the title of the page and its template context.

    Args:
        source: the mailing.
        label: the model of the recipient.
        pk: its key, as the admin quotes it.

    Raises:
        django.http.Http404: the mailing has no such recipient.
    """
    try:
        entity = reference_of(f"{label}:{unquote(pk)}")
    except BadQuery as error:
        raise Http404(str(error)) from error
    if "\0" in entity.pk:
        raise Http404
    found = journey(source.reference, entity, with_pages=sees_pages(source))
    if not found.steps:
        raise Http404
    name = _name(entity, source)
    return {"title": f"{name}: {source.name}", "table": _section(found, source)}


def _name(entity: Reference, source: SourceObject) -> str:
    return RelatedObjects([entity], source.request, source.site).name(entity)


def _section(found: Journey, source: SourceObject) -> Section:
    notes = []
    if not sees_pages(source):
        notes.append(gettext("Pages are hidden: you have no permission to view visitors."))
    if found.is_cut:
        notes.append(gettext("These are the first steps of many."))
    return Section(
        key="journey",
        title=gettext("What they did"),
        heads=[
            Column(gettext("Step"), kind=TEXT),
            Column(gettext("Time"), kind=TEXT),
            Column(gettext("Link, page or event"), kind=TEXT),
            Column(gettext("Value")),
        ],
        rows=[_row(step) for step in found.steps],
        empty="",
        hint=" ".join(notes),
    )


def _row(step: Step) -> TableRow:
    verdict = "" if step.verdict == HUMAN else str(dict(Label.choices).get(step.verdict, ""))
    title = str(TITLES.get(step.what, step.what))
    return TableRow(
        name=f"{title} ({verdict})" if verdict else title,
        outside=outside(step.text),
        cells=[
            Cell(columns.exact_time(step.time), TIME),
            Cell(step.text, TEXT),
            Cell("" if step.value is None else formatting.money(step.value)),
        ],
    )


#: The name of the list of pages, and of its file.
PAGES = "pages"

#: The maximum number of lines of the list of pages. The CSV file has all.
MAX_PAGES = 200


def pages_section(source: SourceObject) -> Section:
    """Return the list of the pages that recipients saw after a click.

    Args:
        source: the mailing.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not view visitors.
    """
    check_sees_pages(source)
    found = next_pages(source.reference)
    highest = max((people for _url, people, _views in found.rows), default=0)
    return Section(
        key=PAGES,
        title=gettext("Pages after a click"),
        heads=[
            Column(gettext("Page"), kind=TEXT),
            Column(gettext("Recipients")),
            Column(*map(str, TERMS["page_views"])),
        ],
        rows=[
            TableRow(
                name=url,
                bar=charts.bar(people, highest),
                cells=[Cell(formatting.count(people)), Cell(formatting.count(views))],
            )
            for url, people, views in found.rows[:MAX_PAGES]
        ],
        empty=gettext("No pages after a click."),
        hint=gettext("Of the first clicks only: there are many.") if found.is_cut else "",
        csv_url=source.path_to("tracking_report_csv", PAGES),
    )


def links(source: SourceObject, report: Campaign) -> Iterator[dict[str, str]]:
    """Yield the link to the list of pages, if there may be any.

    Args:
        source: the mailing.
        report: its report.
    """
    if report.clicked.unique and sees_pages(source):
        url = source.path_to("tracking_report_list", PAGES)
        yield {"text": gettext("Pages after a click"), "url": url}


def check_sees_pages(source: SourceObject) -> None:
    """Raise ``PermissionDenied`` if the user may not view visitors.

    Args:
        source: the mailing.
    """
    if not sees_pages(source):
        raise PermissionDenied


def sees_pages(source: SourceObject) -> bool:
    """Return whether the user may see which pages recipients saw.

    Args:
        source: the mailing.
    """
    return bool(source.request.user.has_perm("tracking.view_visitor"))
