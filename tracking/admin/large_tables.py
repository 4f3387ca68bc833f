"""Lists that stay fast at any number of rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext

from tracking.db.isolation import savepoints
from tracking.reports.formatting import UNKNOWN

if TYPE_CHECKING:  # Django's own classes take no type arguments when they run
    _Paginator = Paginator[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _Paginator, _ModelAdmin = Paginator, admin.ModelAdmin


class BoundedPaginator(_Paginator):
    """Pages through the first rows of a list without counting the rest."""

    MAX_ROWS = 10_000

    @cached_property
    def count(self) -> int:
        """Number of rows to page through, at most ``MAX_ROWS``."""
        return min(self._rows_up_to_one_more, self.MAX_ROWS)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self._rows_up_to_one_more > self.MAX_ROWS

    @classmethod
    def limit(cls) -> str:
        """Return ``MAX_ROWS`` as text."""
        return number_format(cls.MAX_ROWS, force_grouping=True)

    @cached_property
    def _rows_up_to_one_more(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: self.MAX_ROWS + 1].count()


class LargeTableChangeList(ChangeList):
    """Treats impossible dates and numbers in a URL as wrong filters, not as server errors."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Read the filters of the URL."""
        with _reject_impossible_values():
            return super().get_filters(request)

    def get_results(self, request: HttpRequest) -> None:
        """Fetch the rows of the page."""
        with _reject_impossible_values():
            super().get_results(request)
            self.result_list = list(self.result_list)


@contextmanager
def _reject_impossible_values() -> Iterator[None]:
    try:
        with savepoints():
            yield
    except (OverflowError, ValueError, DataError) as error:  # the year 99999, the year 0
        raise IncorrectLookupParameters from error


class LargeTableAdmin(_ModelAdmin):
    """A list that stays fast at any number of rows."""

    paginator = BoundedPaginator
    show_full_result_count = False
    empty_value_display = UNKNOWN
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/tracking/change_list.html"

    class Media:
        css = {"all": ["tracking/tracking.css", "tracking/change_lists.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return LargeTableChangeList

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Return whether a popup may ask for this field; Django fails on what is no column."""
        columns = {field.name for field in self.opts.concrete_fields}
        return to_field in columns and super().to_field_allowed(request, to_field)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Run an action, unless it would apply to more rows than the list shows."""
        chosen_all = request.POST.get("select_across") == "1"
        if chosen_all and BoundedPaginator(queryset, self.list_per_page).is_cut:
            message = gettext(
                "More than %(count)s rows match. Filter the list before you select all of them."
            )
            self.message_user(
                request, message % {"count": BoundedPaginator.limit()}, messages.ERROR
            )
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset, *args, **kwargs)
