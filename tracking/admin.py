"""The tables in the Django admin, made to be read at a million rows.

What costs time in proportion to the table is left out or bounded: there is no count of
all rows, the objects of a page are fetched with one query per model, and the dates to
choose from come from the first and the last row.
"""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet, TextField
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import client, links, objects
from tracking.hits import ROLES, Reference
from tracking.models import Beacon, Source, Target

if TYPE_CHECKING:  # Django's own classes take no type arguments when they run
    _Paginator = Paginator[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _Paginator, _ModelAdmin = Paginator, admin.ModelAdmin

#: Shown for what is not known, as opposed to zero or empty.
UNKNOWN = "\N{EN DASH}"


class BoundedPaginator(_Paginator):
    """Pages through the first rows of a list, without counting the rest."""

    MAX_ROWS = 10_000

    @cached_property
    def count(self) -> int:
        """Rows to page through: those there are, or ``MAX_ROWS`` if there are more."""
        return min(self._rows_up_to_one_more, self.MAX_ROWS)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self._rows_up_to_one_more > self.MAX_ROWS

    @cached_property
    def _rows_up_to_one_more(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: self.MAX_ROWS + 1].count()


class LargeTableAdmin(_ModelAdmin):
    """What keeps a list fast whatever the size of its table."""

    paginator = BoundedPaginator
    show_full_result_count = False
    empty_value_display = UNKNOWN
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/tracking/change_list.html"

    class Media:
        css = {"all": ["tracking/admin.css"]}


class BeaconChangeList(ChangeList):
    """Fetches what a page of beacons is tied to all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        Tied.attach(self.result_list, request, self.model_admin.admin_site)


class Tied:
    """What a row of the admin shows beyond its own columns: links to objects, an address.

    It depends on who is looking, which the methods for columns are not told; so it
    travels with the beacon.
    """

    def __init__(
        self, found: dict[Reference, Model], request: HttpRequest, site: admin.AdminSite
    ) -> None:
        self._found = found
        self._request = request
        self._site = site

    @classmethod
    def attach(cls, beacons: list[Beacon], request: HttpRequest, site: admin.AdminSite) -> None:
        """Fetch the objects of all ``beacons``, and leave the result with each."""
        references = (beacon.reference(role) for beacon in beacons for role in ROLES)
        found = objects.in_bulk(reference for reference in references if reference)
        tied = cls(found, request, site)
        for beacon in beacons:
            beacon.tied = tied  # type: ignore[attr-defined]

    def object(self, beacon: Beacon, role: str) -> str:
        """Return the name of an object, linked to its page if there is one to be seen."""
        reference = beacon.reference(role)
        if reference is None:
            return UNKNOWN
        instance = self._found.get(reference)
        if instance is None:
            return format_html(
                '<span class="tracking-gone" title="{}">{} {}</span>',
                gettext("It has been deleted since."),
                reference.label,
                reference.pk,
            )
        if url := self._url(instance):
            return format_html('<a href="{}">{}</a>', url, str(instance))
        return str(instance)

    def address(self, beacon: Beacon) -> str:
        """Return the address of the client, masked for who may not see it whole."""
        if beacon.ip_address is None:
            return UNKNOWN
        if self._request.user.has_perm("tracking.view_full_address"):
            return beacon.ip_address
        return client.mask(beacon.ip_address)

    def _url(self, instance: Model) -> str | None:
        model_admin = self._site._registry.get(type(instance))
        if model_admin is None or not model_admin.has_view_permission(self._request, instance):
            return None
        meta = instance._meta
        try:
            return reverse(
                f"{self._site.name}:{meta.app_label}_{meta.model_name}_change", args=[instance.pk]
            )
        except NoReverseMatch:
            return None


class RoleFilter(admin.SimpleListFilter):
    """Beacons of one object, as ``?source=shop.affiliate:7``; the pages of objects link here."""

    role: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        references = list(dict.fromkeys(self.offered(model_admin.model)))
        found = objects.in_bulk(references)
        return [
            (value_of(reference), str(found.get(reference) or " ".join(reference)))
            for reference in references
        ]

    def offered(self, model: type[Beacon]) -> Iterator[Reference]:
        """Yield the objects of the sidebar: the chosen one, by which the choice can be undone."""
        if chosen := reference_of(self.value() or ""):
            yield chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Beacon]) -> QuerySet[Beacon]:
        value = self.value()
        if value is None:
            return queryset
        reference = reference_of(value)
        content_type = reference and content_type_of(reference)
        if not (reference and content_type):
            return queryset.none()
        return queryset.filter(
            **{f"{self.role}_type": content_type, f"{self.role}_id": reference.pk}
        )


class SourceFilter(RoleFilter):
    """Where the reader came from.

    To offer every source would mean to read the whole table: these are the latest.
    """

    role = parameter_name = "source"
    title = _("source")

    LATEST = 500  # beacons that are looked at

    def offered(self, model: type[Beacon]) -> Iterator[Reference]:
        yield from super().offered(model)
        latest = model._default_manager.order_by("-time").only("source_type_id", "source_id")
        for beacon in latest[: self.LATEST]:
            if reference := beacon.reference(self.role):
                yield reference


class EntityFilter(RoleFilter):
    """Who it was. There are too many to offer any."""

    role = parameter_name = "entity"
    title = _("entity")


class TargetFilter(RoleFilter):
    """What was shown or linked to."""

    role = parameter_name = "target"
    title = _("target")


def value_of(reference: Reference) -> str:
    """Return a reference as it stands in a URL."""
    return f"{reference.label}:{reference.pk}"


def reference_of(value: str) -> Reference | None:
    """Return the reference for a text from a URL, or ``None`` if it is none."""
    label, colon, pk = value.partition(":")
    return Reference(label, pk) if colon and "\0" not in value else None


def content_type_of(reference: Reference) -> ContentType | None:
    """Return the content type of a reference, or ``None`` if this site has none."""
    app_label, _dot, model = reference.label.partition(".")
    return ContentType.objects.filter(app_label=app_label, model=model).first()


def beacons_url(site: admin.AdminSite, role: str, instance: Model) -> str:
    """Return the URL of the list of beacons that are tied to ``instance``."""
    query = urlencode({role: value_of(Reference.to(instance))})
    return f"{reverse(f'{site.name}:tracking_beacon_changelist')}?{query}"


@admin.register(Beacon)
class BeaconAdmin(LargeTableAdmin):
    """Beacons are facts: looked at, perhaps deleted, never written here."""

    list_display = ("when", "what", "who", "came_from", "led_to", "address")
    list_display_links = ("when",)
    list_filter = (
        "kind",
        ("time", admin.DateFieldListFilter),
        SourceFilter,
        EntityFilter,
        TargetFilter,
    )
    date_hierarchy = "time"
    ordering = ("-time",)
    sortable_by = ("when",)
    search_fields = ("id",)
    search_help_text = _(
        "An IP address, the id of a beacon, or anything that finds a source, an entity or a "
        "target in its own list: a name, an e-mail address."
    )
    fields = (
        "exact_time",
        "what",
        "who",
        "came_from",
        "led_to",
        "arguments",
        "referrer",
        "address",
        "user_agent",
        "id",
    )
    readonly_fields = fields

    #: Objects per model that a search follows to their beacons.
    MAX_FOUND = 100

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

        No text column of the beacons is searched, which would mean to read them all.
        """
        term = search_term.strip()
        if not term:
            return queryset, False
        if address := client.normalise(term):
            return queryset.filter(ip_address=address), False
        try:
            return queryset.filter(pk=uuid.UUID(term)), False
        except ValueError:
            return queryset.filter(self._tied_to(request, term)), False

    def _tied_to(self, request: HttpRequest, term: str) -> Q:
        """Return the condition for beacons of what the admins of other models find."""
        condition = Q(pk__in=[])
        for model, model_admin in self.admin_site._registry.items():
            searchable = model is not Beacon and model_admin.get_search_fields(request)
            if not searchable or not model_admin.has_view_permission(request):
                continue
            found, _duplicates = model_admin.get_search_results(
                request, model_admin.get_queryset(request), term
            )
            keys = [str(pk) for pk in found.values_list("pk", flat=True)[: self.MAX_FOUND]]
            if keys:
                content_type = ContentType.objects.get_for_model(model)
                for role in ROLES:
                    condition |= Q(**{f"{role}_type": content_type, f"{role}_id__in": keys})
        return condition

    # The columns.

    @admin.display(description=_("time"), ordering="time")
    def when(self, beacon: Beacon) -> SafeString:
        """How long ago; exact where the pointer rests."""
        age = timezone.now() - beacon.time
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            beacon.time.isoformat(timespec="milliseconds"),
            self.exact_time(beacon),
            gettext("%(time)s ago") % {"time": timesince(beacon.time, depth=1)}
            if age >= timedelta(minutes=1)
            else gettext("just now"),
        )

    @admin.display(description=_("time"))
    def exact_time(self, beacon: Beacon) -> str:
        """To the second, with the time zone."""
        local = timezone.localtime(beacon.time)
        return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S} {local:%Z}"

    @admin.display(description=_("kind"))
    def what(self, beacon: Beacon) -> SafeString:
        """The kind, as a small label."""
        return format_html(
            '<span class="tracking-label tracking-{}">{}</span>',
            beacon.kind,
            beacon.get_kind_display(),
        )

    @admin.display(description=_("who"))
    def who(self, beacon: Beacon) -> str:
        """The entity."""
        return self._tied(beacon).object(beacon, "entity")

    @admin.display(description=_("source"))
    def came_from(self, beacon: Beacon) -> str:
        """The source."""
        return self._tied(beacon).object(beacon, "source")

    @admin.display(description=_("target"))
    def led_to(self, beacon: Beacon) -> str:
        """The target, and the URL that a click was sent to. The URL is text, and no link."""
        lines = []
        if beacon.target_id is not None:
            lines.append(self._tied(beacon).object(beacon, "target"))
        if beacon.url:
            lines.append(format_html('<span class="tracking-url">{}</span>', beacon.url))
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) or UNKNOWN

    @admin.display(description=_("IP address"))
    def address(self, beacon: Beacon) -> str:
        """The client's address, as far as it may be seen."""
        return self._tied(beacon).address(beacon)

    @admin.display(description=_("arguments"))
    def arguments(self, beacon: Beacon) -> str:
        """What the tag was given."""
        if not beacon.data:
            return UNKNOWN
        text = json.dumps(beacon.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="tracking-data">{}</pre>', text)

    @staticmethod
    def _tied(beacon: Beacon) -> Tied:
        return beacon.tied  # type: ignore[attr-defined, no-any-return]


class LinkedAdmin(LargeTableAdmin):
    """Pages of objects that have a short URL and a list of beacons."""

    role: str

    @admin.display(description=_("beacons"))
    def beacons(self, instance: Model) -> SafeString:
        """A link to the beacons of the object; how many there are is told by the reports."""
        if instance.pk is None:
            return SafeString(UNKNOWN)
        url = beacons_url(self.admin_site, self.role, instance)
        return format_html('<a href="{}">{}</a>', url, gettext("Show beacons"))

    def _short_url(self, instance: Model, name: str, *args: Any) -> str:
        if instance.pk is None:
            return UNKNOWN
        try:
            return links.absolute(reverse(f"tracking:{name}", args=args))
        except NoReverseMatch:
            return gettext("Include tracking.urls in your URLconf.")


@admin.register(Target)
class TargetAdmin(LinkedAdmin):
    """Targets and their short links."""

    role = "target"
    list_display = ("name", "url", "active", "expires_at", "short_link", "beacons")
    list_filter = ("active",)
    search_fields = ("name", "url")
    ordering = ("-pk",)
    readonly_fields = ("short_link", "beacons")
    # One line, although the column takes a URL of any length.
    formfield_overrides = {TextField: {"widget": AdminTextInputWidget(attrs={"size": 60})}}

    @admin.display(description=_("short link"))
    def short_link(self, target: Target) -> str:
        """The link to give away. Behind another slash it takes the slug of a source."""
        return self._short_url(target, "target", target.pk)


@admin.register(Source)
class SourceAdmin(LinkedAdmin):
    """Sources and their pixels."""

    role = "source"
    list_display = ("name", "slug", "medium", "campaign", "short_pixel", "beacons")
    search_fields = ("name", "slug", "medium", "campaign")
    prepopulated_fields = {"slug": ("name",)}
    ordering = ("-pk",)
    readonly_fields = ("short_pixel", "beacons")

    @admin.display(description=_("pixel"))
    def short_pixel(self, source: Source) -> str:
        """The image that records an open of this source, wherever it is placed."""
        return self._short_url(source, "source", source.slug)
