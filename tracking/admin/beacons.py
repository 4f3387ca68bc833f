"""The list of beacons, and the page of each."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import client_address
from tracking.admin import columns
from tracking.admin.beacon_filters import EntityFilter, SourceFilter, TargetFilter
from tracking.admin.enrichment_columns import ObservedColumns
from tracking.admin.large_tables import UNKNOWN, LargeTableAdmin, LargeTableChangeList
from tracking.admin.related_objects import Tied
from tracking.admin.reports import campaign, overview
from tracking.hits import ROLES
from tracking.models import Beacon


class BeaconChangeList(LargeTableChangeList):
    """Fetches what a page of beacons is tied to all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        Tied.attach(self.result_list, request, self.model_admin.admin_site)


@admin.register(Beacon)
class BeaconAdmin(ObservedColumns, LargeTableAdmin):
    """Beacons are facts: looked at, perhaps deleted, never written here."""

    list_display = ("when", "what_judged", "who", "came_from", "led_to", "whence")
    list_display_links = ("when",)
    list_filter = (
        "kind",
        ("time", admin.DateFieldListFilter),
        SourceFilter,
        EntityFilter,
        TargetFilter,
    )
    date_hierarchy = "time"
    # Newest first, and no other order: none that the admin would make of it has an index.
    ordering = ("-time",)
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = _(
        "An IP address, the id of a beacon, or anything that finds a source, an entity or a "
        "target in its own list: a name, an e-mail address."
    )
    fields = (
        "exact_time",
        "what",
        "judged_in_full",
        "who",
        "came_from",
        "led_to",
        "arguments",
        "referrer",
        "place",
        "address",
        "user_agent",
        "agent",
        "browsed_by",
        "id",
    )
    readonly_fields = fields

    #: What a URL may filter by.
    LOOKUPS = frozenset(
        {
            *ROLES,
            *("id", "id__exact", "kind", "kind__exact"),
            *("time__gte", "time__lt", "time__isnull"),
            *("time__year", "time__month", "time__day"),
        }
    )

    #: Objects per model that a search follows to their beacons.
    MAX_FOUND = 100
    #: Beacons per model and role that a search shows, the newest.
    MAX_FOUND_BEACONS = 1_000

    def get_urls(self) -> list[URLPattern]:
        """Add the overview and the reports of single objects."""
        return [*overview.urls(self), *campaign.urls(self), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a beacon by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Beacon | None = None) -> bool:
        """Nobody changes one."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that fetches the objects of a page all at once."""
        return BeaconChangeList

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Beacon | None:
        """Return one beacon, with its objects."""
        beacon: Beacon | None = super().get_object(request, *args, **kwargs)
        if beacon is not None:
            Tied.attach([beacon], request, self.admin_site)
        return beacon

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find beacons by what they are tied to.

        No column without an index is searched, which would mean to read them all.
        """
        term = search_term.strip()
        if not term:
            return queryset, False
        if address := client_address.normalise(term):
            # Asking for one address after another would tell those that are shown masked.
            if not request.user.has_perm("tracking.view_full_address"):
                return queryset.none(), False
            return queryset.filter(ip_address=address), False
        try:
            return queryset.filter(pk=uuid.UUID(term)), False
        except ValueError:
            return queryset.filter(pk__in=self._tied_to(request, term)), False

    def _tied_to(self, request: HttpRequest, term: str) -> set[uuid.UUID]:
        """Return the newest beacons of what the admins of other models find."""
        beacons: set[uuid.UUID] = set()
        for model, keys in self._found_elsewhere(request, term):
            content_type = ContentType.objects.get_for_model(model)
            for role in ROLES:
                # A question for each role, because each has its own index.
                tied = Beacon.objects.filter(
                    **{f"{role}_type": content_type, f"{role}_id__in": keys}
                )
                newest = tied.order_by("-time").values_list("pk", flat=True)
                beacons.update(newest[: self.MAX_FOUND_BEACONS])
        return beacons

    def _found_elsewhere(
        self, request: HttpRequest, term: str
    ) -> Iterator[tuple[type[Model], list[str]]]:
        """Yield the keys that the admin of each other model finds, if it may be seen."""
        for model, model_admin in self.admin_site._registry.items():
            searchable = model is not Beacon and model_admin.get_search_fields(request)
            if not searchable or not model_admin.has_view_permission(request):
                continue
            found, _duplicates = model_admin.get_search_results(
                request, model_admin.get_queryset(request), term
            )
            keys = [str(pk) for pk in found.values_list("pk", flat=True)[: self.MAX_FOUND + 1]]
            if len(keys) > self.MAX_FOUND:
                message = gettext("More than %(count)d %(name)s match: these are beacons of some.")
                name = model._meta.verbose_name_plural
                self.message_user(
                    request, message % {"count": self.MAX_FOUND, "name": name}, messages.WARNING
                )
            if keys:
                yield model, keys[: self.MAX_FOUND]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether the URL may filter by ``lookup``.

        Django admits every lookup of every column. These are the ones that have an index, and
        an address is asked for only by who may see it.
        """
        if lookup in {"ip_address", "ip_address__exact"}:
            return request is not None and request.user.has_perm("tracking.view_full_address")
        return lookup in self.LOOKUPS

    # The columns.

    @admin.display(description=_("time"))
    def when(self, beacon: Beacon) -> SafeString:
        """How long ago; exact where the pointer rests."""
        return columns.ago(beacon.time)

    @admin.display(description=_("time"))
    def exact_time(self, beacon: Beacon) -> str:
        """To the second, with the time zone."""
        return columns.exact(beacon.time)

    @admin.display(description=_("kind"))
    def what(self, beacon: Beacon) -> SafeString:
        """The kind, as a small label."""
        return format_html(
            '<span class="tracking-label tracking-{}">{}</span>',
            beacon.kind,
            beacon.get_kind_display(),
        )

    @admin.display(description=_("kind"))
    def what_judged(self, beacon: Beacon) -> str:
        """The kind, with the verdict unless it is the usual one."""
        return columns.stacked(self.what(beacon), columns.unusual_verdict(beacon))

    @admin.display(description=_("visitor"))
    def browsed_by(self, beacon: Beacon) -> str:
        """The browser, if it has been on the site lately."""
        return Tied.to(beacon).visitor(beacon, self.admin_site)

    @admin.display(description=_("who"))
    def who(self, beacon: Beacon) -> str:
        """The entity."""
        return Tied.to(beacon).object(beacon, "entity")

    @admin.display(description=_("source"))
    def came_from(self, beacon: Beacon) -> str:
        """The source."""
        return Tied.to(beacon).object(beacon, "source")

    @admin.display(description=_("target"))
    def led_to(self, beacon: Beacon) -> str:
        """The target, and the URL that a click was sent to. The URL is text, and no link."""
        lines = []
        if beacon.target_id is not None:
            lines.append(Tied.to(beacon).object(beacon, "target"))
        if beacon.url:
            lines.append(format_html('<span class="tracking-url">{}</span>', beacon.url))
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) or UNKNOWN

    @admin.display(description=_("IP address"))
    def address(self, beacon: Beacon) -> str:
        """The client's address, as far as it may be seen."""
        return Tied.to(beacon).address(beacon)

    @admin.display(description=_("arguments"))
    def arguments(self, beacon: Beacon) -> str:
        """What the tag was given."""
        if not beacon.data:
            return UNKNOWN
        text = json.dumps(beacon.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="tracking-data">{}</pre>', text)
