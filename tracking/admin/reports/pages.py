"""What the overview and the reports of single objects have in common as pages."""

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

#: Lines of a page of a list.
ROWS_PER_PAGE = 50

#: Digits of the number of a page: nobody goes further by hand.
_MAX_DIGITS = 9


def page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    """Return a page of the admin.

    Args:
        request: the request.
        site: the site of the admin.
        template: its name, without directory and ending.
        context: what it shows.
    """
    name = apps.get_app_config("tracking").verbose_name
    return admin_page.page(request, site, f"reports/{template}", app_name=name, **context)


def page_number(request: HttpRequest) -> int:
    """Return which page of a list is asked for, from 1; what is no number asks for the first."""
    text = request.GET.get("p", "")
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return max(int(text), 1) if is_number else 1


def paging(urls_of_page: PageUrls, number: int, shown: int, total: int, *, at: str = "") -> Paging:
    """Return the way to the other pages of a list.

    Args:
        addresses: those of the page.
        number: that of the page, from 1.
        shown: how many lines it has.
        total: how many lines there are in all.
        at: the id of the list, if there is more on the page.
    """
    first = (number - 1) * ROWS_PER_PAGE + 1
    said = {
        "first": formatting.count(first if shown else 0),
        "last": formatting.count(first + shown - 1 if shown else 0),
        "total": formatting.count(total),
    }
    return Paging(
        gettext("%(first)s to %(last)s of %(total)s") % said,
        urls_of_page.to({"p": str(number - 1)}, at=at) if number > 1 else "",
        urls_of_page.to({"p": str(number + 1)}, at=at) if shown and first + shown <= total else "",
    )
