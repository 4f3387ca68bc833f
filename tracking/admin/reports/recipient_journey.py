"""The page of one recipient of a mailing: what they did, step by step."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.http import Http404
from django.utils.translation import gettext

from tracking.admin import columns
from tracking.admin.related_objects import RelatedObjects
from tracking.admin.reports.sections import TEXT, TIME, Cell, Column, Section, TableRow, outside
from tracking.admin.reports.source_object import SourceObject
from tracking.enrichment.verdict_rules import Label
from tracking.hits import Reference
from tracking.reports import formatting
from tracking.reports.filters import reference_of
from tracking.reports.journeys import TITLES, Journey, Step, journey
from tracking.reports.periods import BadQuery
from tracking.rollups.metric_definitions import HUMAN


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
    sees_pages = source.request.user.has_perm("tracking.view_visitor")
    found = journey(source.reference, entity, with_pages=sees_pages)
    if not found.steps:
        raise Http404
    name = _name(entity, source)
    return {"title": f"{name}: {source.name}", "table": _section(found, sees_pages=sees_pages)}


def _name(entity: Reference, source: SourceObject) -> str:
    return RelatedObjects([entity], source.request, source.site).name(entity)


def _section(found: Journey, *, sees_pages: bool) -> Section:
    notes = []
    if not sees_pages:
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
