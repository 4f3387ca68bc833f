"""The admin pages of beacons."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns, index_entries
from tracking.admin.beacon_filters import EntityFilter, SourceFilter, TargetFilter
from tracking.admin.masking import may_view_full_addresses
from tracking.admin.permitted_values import BeaconDisplay
from tracking.admin.recorded_rows import RecordedRowsAdmin
from tracking.admin.reports import campaign, overview
from tracking.hits import ROLES
from tracking.models import Beacon
from tracking.reports.formatting import UNKNOWN


@admin.register(Beacon)
class BeaconAdmin(RecordedRowsAdmin):
    """Beacons: opens, clicks, sent messages and events."""

    display_class = BeaconDisplay
    list_display = (
        "time_ago", "kind_and_verdict", "entity_link", "source_link", "target_and_url",
        "place_and_address",
    )  # fmt: skip
    list_display_links = ("time_ago",)
    list_filter = (
        "kind",
        ("time", admin.DateFieldListFilter),
        SourceFilter,
        EntityFilter,
        TargetFilter,
    )
    date_hierarchy = "time"
    # Newest first only: no other order that the admin could build has an index.
    ordering = ("-time",)
    search_fields = ("id",)
    search_help_text = _(
        "Search by IP address, by beacon id, or by anything that finds a source, entity or "
        "target in its own list, such as a name or an e-mail address."
    )
    fields = (
        "exact_time", "kind_label", "verdict_with_reason", "entity_link", "source_link",
        "target_and_url", "arguments", "referring_page", "place", "address", "user_agent", "agent",
        "visitor_link", "id",
    )  # fmt: skip
    readonly_fields = fields

    LOOKUPS = frozenset(
        {
            *ROLES,
            *("id", "id__exact", "kind", "kind__exact"),
            *("time__gte", "time__lt", "time__isnull"),
            *("time__year", "time__month", "time__day"),
        }
    )

    #: A search returns the beacons of at most this many objects per model ...
    MAX_FOUND = 100
    #: ... and at most this many of their latest beacons per model and role.
    MAX_FOUND_BEACONS = 1_000

    def __init__(self, model: type[Beacon], admin_site: admin.AdminSite) -> None:
        """Add the entries of this app's pages to the index of the same site."""
        super().__init__(model, admin_site)
        index_entries.register(admin_site)

    def get_urls(self) -> list[URLPattern]:
        """Add the overview and the reports of single objects."""
        return [*overview.urls(self), *campaign.urls(self), *super().get_urls()]

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Return the beacon with the id ``term``, or those of the objects that it finds."""
        try:
            return queryset.filter(pk=uuid.UUID(term))
        except ValueError:
            return queryset.filter(pk__in=self._beacons_of_objects(request, term))

    def _beacons_of_objects(self, request: HttpRequest, term: str) -> set[uuid.UUID]:
        """Return the latest beacons of the objects that a search finds in other models."""
        beacons: set[uuid.UUID] = set()
        for model, keys in self._found_objects(request, term):
            content_type = ContentType.objects.get_for_model(model)
            for role in ROLES:
                # One query per role, because each has its own index.
                found = Beacon.objects.filter(
                    **{f"{role}_type": content_type, f"{role}_id__in": keys}
                )
                latest = found.order_by("-time").values_list("pk", flat=True)
                beacons.update(latest[: self.MAX_FOUND_BEACONS])
        return beacons

    def _found_objects(
        self, request: HttpRequest, term: str
    ) -> Iterator[tuple[type[Model], list[str]]]:
        """Yield the primary keys that the search of each other model's admin finds."""
        for model, model_admin in self.admin_site._registry.items():
            searchable = model is not Beacon and model_admin.get_search_fields(request)
            if not searchable or not model_admin.has_view_permission(request):
                continue
            found, _duplicates = model_admin.get_search_results(
                request, model_admin.get_queryset(request), term
            )
            keys = [str(pk) for pk in found.values_list("pk", flat=True)[: self.MAX_FOUND + 1]]
            if len(keys) > self.MAX_FOUND:
                message = gettext(
                    "More than %(count)d %(name)s match. The list shows beacons of only some of "
                    "them."
                )
                name = model._meta.verbose_name_plural
                self.message_user(
                    request, message % {"count": self.MAX_FOUND, "name": name}, messages.WARNING
                )
            if keys:
                yield model, keys[: self.MAX_FOUND]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether a URL may filter by ``lookup``: by IP address only if it may be viewed."""
        if lookup in {"ip_address", "ip_address__exact"}:
            return request is not None and may_view_full_addresses(request)
        return super().lookup_allowed(lookup, value, request)

    # Columns.

    @admin.display(description=_("time"))
    def time_ago(self, beacon: Beacon) -> SafeString:
        """How long ago; the exact time is in the tooltip."""
        return columns.relative_time(beacon.time)

    @admin.display(description=_("time"))
    def exact_time(self, beacon: Beacon) -> str:
        """The time to the second, with the time zone."""
        return columns.exact_time(beacon.time)

    @admin.display(description=_("kind"))
    def kind_label(self, beacon: Beacon) -> SafeString:
        """The kind as a label."""
        return format_html(
            '<span class="tracking-label tracking-label-{}">{}</span>',
            beacon.kind,
            beacon.get_kind_display(),
        )

    @admin.display(description=_("kind"))
    def kind_and_verdict(self, beacon: Beacon) -> str:
        """The kind, with the verdict unless it is human."""
        return columns.stacked(self.kind_label(beacon), columns.verdict_unless_human(beacon))

    @admin.display(description=_("visitor"))
    def visitor_link(self, beacon: Beacon) -> str:
        """The visitor, if it is still stored."""
        return BeaconDisplay.of(beacon).visitor(beacon)

    @admin.display(description=_("entity"))
    def entity_link(self, beacon: Beacon) -> str:
        """The entity."""
        return BeaconDisplay.of(beacon).object(beacon, "entity")

    @admin.display(description=_("source"))
    def source_link(self, beacon: Beacon) -> str:
        """The source."""
        return BeaconDisplay.of(beacon).object(beacon, "source")

    @admin.display(description=_("target"))
    def target_and_url(self, beacon: Beacon) -> str:
        """The target, and the URL of a click, as text rather than a link."""
        lines = []
        if beacon.target_id is not None:
            lines.append(BeaconDisplay.of(beacon).object(beacon, "target"))
        if beacon.url:
            lines.append(columns.url_text(beacon.url))
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) or UNKNOWN

    @admin.display(description=_("arguments"))
    def arguments(self, beacon: Beacon) -> str:
        """The arguments of the tag, as JSON."""
        if not beacon.data:
            return UNKNOWN
        text = json.dumps(beacon.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="tracking-data">{}</pre>', text)
