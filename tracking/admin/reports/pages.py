"""What all report pages share: rendering and paging."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from tracking.admin import admin_page
from tracking.admin.reports.page_urls import PageUrls
from tracking.admin.reports.sections import Paging
from tracking.reports import formatting

#: The number of lines of a page of a list.
ROWS_PER_PAGE = 50

#: The maximum number of digits of a page number.
_MAX_DIGITS = 9


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return a page of the admin.

    Args:
        request: the request.
        site: the admin site.
        template: the template's name, without directory and extension.
        context: the variables of the template.
    """
    name = apps.get_app_config("tracking").verbose_name
    return admin_page.page(request, site, f"reports/{template}", app_name=name, **context)


def page_number(request: HttpRequest) -> int:
    """Return the requested page of a list, from 1. An invalid number is page 1."""
    text = request.GET.get("p", "")
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return max(int(text), 1) if is_number else 1


def paging(page_urls: PageUrls, number: int, shown: int, total: int, *, at: str = "") -> Paging:
    """Return the links to the previous and the next page of a list.

    Args:
        page_urls: the URLs of the page.
        number: the number of the page, from 1.
        shown: the number of its lines.
        total: the number of lines of the whole list.
        at: the id of the list, if the page shows more than the list.
    """
    first = (number - 1) * ROWS_PER_PAGE + 1
    said = {
        "first": formatting.count(first if shown else 0),
        "last": formatting.count(first + shown - 1 if shown else 0),
        "total": formatting.count(total),
    }
    return Paging(
        gettext("%(first)s to %(last)s of %(total)s") % said,
        page_urls.to({"p": str(number - 1)}, at=at) if number > 1 else "",
        page_urls.to({"p": str(number + 1)}, at=at) if shown and first + shown <= total else "",
    )
