"""Downloads of reports as CSV and JSON files."""

from typing import Any

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.text import slugify

from tracking.reports.csv_tables import Table, lines


def csv_file(table: Table, name: str) -> StreamingHttpResponse:
    """Return a table as a CSV file, streamed line by line.

    Args:
        table: the table.
        name: the name of the file without its extension. Any characters are allowed.
    """
    return StreamingHttpResponse(
        lines(table), content_type="text/csv; charset=utf-8", headers=_attached(name, "csv")
    )


def json_file(content: dict[str, Any], name: str) -> HttpResponse:
    """Return values as a JSON file.

    Args:
        content: the values.
        name: the name of the file without its extension. Any characters are allowed.
    """
    return JsonResponse(content, headers=_attached(name, "json"))


def _attached(name: str, ending: str) -> dict[str, str]:
    # Every file system accepts these letters and this length.
    called = slugify(name)[:100] or "report"
    return {"Content-Disposition": f'attachment; filename="{called}.{ending}"'}
