"""Reports as files."""

from typing import Any

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.text import slugify

from tracking.reports.csv_tables import Table, lines


def csv_file(table: Table, name: str) -> StreamingHttpResponse:
    """Return a table as a CSV file, sent line by line.

    Args:
        table: the table.
        name: what the file is called, without its ending; of any characters.
    """
    return StreamingHttpResponse(
        lines(table), content_type="text/csv; charset=utf-8", headers=_attached(name, "csv")
    )


def json_file(content: dict[str, Any], name: str) -> HttpResponse:
    """Return values as a JSON file.

    Args:
        content: the values.
        name: what the file is called, without its ending; of any characters.
    """
    return JsonResponse(content, headers=_attached(name, "json"))


def _attached(name: str, ending: str) -> dict[str, str]:
    # Letters that every system knows, and no more of a long name than fits.
    called = slugify(name)[:100] or "report"
    return {"Content-Disposition": f'attachment; filename="{called}.{ending}"'}
