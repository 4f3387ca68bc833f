"""Links from the admin of your own models to their reports, and columns of opens and clicks.

from tracking.admin import TrackingAdminMixin

@admin.register(Newsletter)
class NewsletterAdmin(TrackingAdminMixin, admin.ModelAdmin):
    list_display = ["subject", "tracking_opens", "tracking_clicks"]
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tracking.admin import columns
from tracking.admin.admin_page import admin_url
from tracking.hits import Reference
from tracking.reports import formatting
from tracking.reports.counts_per_object import counts_per_object
from tracking.rollups.metric_definitions import TERMS

if TYPE_CHECKING:  # Django's own class takes no type arguments when it runs
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = object

#: The columns of the mixin. They need the permission to view beacons.
COLUMNS = frozenset({"tracking_opens", "tracking_clicks"})


def may_see_report(request: HttpRequest) -> bool:
    """Return whether the user may see reports, which needs the permission to view beacons."""
    return request.user.has_perm("tracking.view_beacon")


def report_url(site: admin.AdminSite, reference: Reference) -> str:
    """Return the URL of the report of an object, or ``""`` if the site has none."""
    return admin_url(site, "tracking_report", reference.label, quote(reference.pk))


class _CountingChangeList(ChangeList):
    """Counts opens and clicks of all objects of a page at once."""

    model_admin: "TrackingAdminMixin"

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # ``result_list`` must stay a queryset: list_editable asks whether it is ordered.
        rows = list(self.result_list)
        counted = counts_per_object(self.model_admin.tracking_role, rows)
        for instance in rows:
            instance.tracking_counts = counted[str(instance.pk)]


class TrackingAdminMixin(_ModelAdmin):
    """Links the page of a source to its report, and adds columns for ``list_display``.

    Both need the permission to view beacons. The page keeps its template; the link is among its
    object tools. The columns are ``"tracking_opens"`` and ``"tracking_clicks"``. They cost a few
    queries for a page of the list, however many objects it has.
    """

    #: The role of the objects in beacons: ``"source"``, ``"target"`` or ``"entity"``.
    tracking_role = "source"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any | None = None,
    ) -> HttpResponse:
        """Return the page, with the link if the object has a report."""
        response = super().render_change_form(request, context, add, change, form_url, obj)
        if obj is None or obj.pk is None or not may_see_report(request):
            return response
        url = self.tracking_report_url(obj)
        if url and isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data |= {
                "tracking_page": response.resolve_template(response.template_name),
                "tracking_report_url": url,
            }
            response.template_name = "admin/tracking/change_form_with_report_link.html"
        return response

    def tracking_report_url(self, instance: Model) -> str:
        """Return the URL of the report, or ``""`` for no link. Only sources have reports."""
        if self.tracking_role != "source":
            return ""
        return report_url(self.admin_site, Reference.to(instance))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns that the user may see."""
        columns = super().get_list_display(request)
        if may_see_report(request):
            return columns
        return [name for name in columns if name not in COLUMNS]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list, which counts only if a column shows it."""
        plain = super().get_changelist(request, **kwargs)
        if COLUMNS.isdisjoint(self.get_list_display(request)):
            return plain
        return type("CountingChangeList", (_CountingChangeList, plain), {})

    @admin.display(description=TERMS["opened"].title)
    def tracking_opens(self, instance: Any) -> str:
        """Recipients who opened it, and how often people loaded the image."""
        counts = instance.tracking_counts
        return _stacked(counts.opened, formatting.opens(counts.opens) if counts.opens else "")

    @admin.display(description=TERMS["clicked"].title)
    def tracking_clicks(self, instance: Any) -> str:
        """Recipients who clicked, and how often people followed a link."""
        counts = instance.tracking_counts
        return _stacked(counts.clicked, formatting.clicks(counts.clicks) if counts.clicks else "")


def _stacked(recipients: int, hits: str) -> str:
    return columns.stacked(formatting.count(recipients), columns.secondary(hits))
