"""The source object of a report, as far as the user may see it."""

from dataclasses import replace

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.http import urlencode
from django.utils.translation import gettext

from tracking.admin.admin_page import admin_url
from tracking.admin.related_objects import RelatedObjects, reference_to_text
from tracking.admin.reports.report_links import may_see_report
from tracking.hits import Reference
from tracking.reports.campaigns import Campaign, campaign, was_observed
from tracking.reports.filters import reference_of
from tracking.reports.periods import BadQuery


class SourceObject:
    """The source object of a report.

    Raises:
        django.core.exceptions.PermissionDenied: if the user may not view beacons.
        django.http.Http404: if there is no such object and no beacon of it.
    """

    def __init__(self, request: HttpRequest, site: admin.AdminSite, label: str, pk: str) -> None:
        if not may_see_report(request):
            raise PermissionDenied
        try:
            self.reference: Reference = reference_of(f"{label}:{unquote(pk)}")
        except BadQuery as error:
            raise Http404(str(error)) from error
        if "\0" in self.reference.pk:
            raise Http404
        self.request = request
        self.site = site
        self._rows = RelatedObjects([self.reference], request, site)
        if self.is_gone and not was_observed(self.reference):
            raise Http404

    @property
    def name(self) -> str:
        """Its name if the user may see it, else its model and key."""
        return self._rows.name(self.reference)

    @property
    def is_gone(self) -> bool:
        """Whether the object has been deleted."""
        return self._rows.is_deleted(self.reference)

    def report(self) -> Campaign:
        """Return the report."""
        return replace(campaign(self.reference), name=self.name)

    def path_to(self, name: str, *args: str) -> str:
        """Return the path of one of its report pages."""
        return admin_url(self.site, name, self.reference.label, quote(self.reference.pk), *args)

    def links(self) -> list[dict[str, str]]:
        """Return links to other pages about it."""
        query = urlencode({"source": reference_to_text(self.reference)})
        beacons = admin_url(self.site, "tracking_beacon_changelist")
        links = [
            {"text": gettext("Edit source"), "url": self._rows.url(self.reference) or ""},
            {"text": gettext("Beacons"), "url": f"{beacons}?{query}" if beacons else ""},
            {"text": gettext("All as JSON"), "url": self.path_to("tracking_report_json")},
        ]
        return [link for link in links if link["url"]]
