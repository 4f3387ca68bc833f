"""The admin pages of targets and sources, with their short URLs."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import Model, TextField
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import links
from tracking.admin.admin_page import admin_url
from tracking.admin.large_tables import LargeTableAdmin
from tracking.admin.related_objects import beacons_url
from tracking.admin.reports.report_links import TrackingAdminMixin
from tracking.models import Source, Target
from tracking.reports.formatting import UNKNOWN


class ShortUrlAdmin(TrackingAdminMixin, LargeTableAdmin):
    """Objects that have a short URL, and a list of their beacons."""

    @admin.display(description=_("beacons"))
    def beacons(self, instance: Model) -> SafeString:
        """A link to the beacons of the object."""
        if instance.pk is None:
            return SafeString(UNKNOWN)
        url = beacons_url(self.admin_site, self.tracking_role, instance)
        return format_html('<a href="{}">{}</a>', url, gettext("Show beacons"))

    def _short_url(self, instance: Model, name: str, *args: Any) -> str:
        if instance.pk is None:
            return UNKNOWN
        try:
            return links.absolute(reverse(f"tracking:{name}", args=args))
        except NoReverseMatch:
            return gettext("Include tracking.urls in your URLconf.")


@admin.register(Target)
class TargetAdmin(ShortUrlAdmin):
    """Targets, with their short links."""

    tracking_role = "target"
    list_display = (
        "name", "url", "active", "expires_at", "short_link", "tracking_opens", "tracking_clicks",
        "beacons",
    )  # fmt: skip
    list_filter = ("active",)
    search_fields = ("name", "url")
    ordering = ("-pk",)
    readonly_fields = ("short_link", "beacons")
    # A single line, although the column is a text of any length.
    formfield_overrides = {TextField: {"widget": AdminTextInputWidget(attrs={"size": 60})}}

    def tracking_report_url(self, instance: Model) -> str:
        """Return the URL of the overview, filtered by clicks on this target."""
        path = admin_url(self.admin_site, "tracking_overview")
        query = urlencode({"link": str(getattr(instance, "url", "")), "period": "90"})
        return f"{path}?{query}" if path else ""

    @admin.display(description=_("short link"))
    def short_link(self, target: Target) -> str:
        """The link to share. Append the slug of a source and a slash to name the source."""
        return self._short_url(target, "target", target.pk)


@admin.register(Source)
class SourceAdmin(ShortUrlAdmin):
    """Sources, with their pixels."""

    list_display = (
        "name", "slug", "medium", "campaign", "short_pixel", "tracking_opens", "tracking_clicks",
        "beacons",
    )  # fmt: skip
    search_fields = ("name", "slug", "medium", "campaign")
    prepopulated_fields = {"slug": ("name",)}
    ordering = ("-pk",)
    readonly_fields = ("short_pixel", "beacons")

    @admin.display(description=_("pixel"))
    def short_pixel(self, source: Source) -> str:
        """The image that records an open of this source."""
        return self._short_url(source, "source", source.slug)
