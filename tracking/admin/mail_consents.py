"""The admin pages of the ledger of consent: who agrees that opens and clicks are recorded."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import Error
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns
from tracking.admin.permitted_values import RowDisplay
from tracking.admin.recorded_rows import RecordedRowsAdmin
from tracking.admin.related_objects import reference_from_text
from tracking.hits import Reference
from tracking.models import MailConsent, MailConsentChange
from tracking.recipient_consent import AddressKeyLost
from tracking.recipient_consent.recipients import digest_of_row, identify
from tracking.reports.formatting import UNKNOWN

#: Characters of the hash of an address that lists show.
_HASH_SHOWN = 8


class ConsentDisplay(RowDisplay):
    """What the columns of the ledger show: the recipient."""

    def references(self, row: MailConsent) -> Iterable[Reference]:
        """Return the reference of the recipient, if it is a row."""
        return [Reference(row.label, row.key)] if row.label else []

    def recipient(self, row: MailConsent) -> str:
        """Return the name of the recipient, linked to its admin page if the user may open it."""
        for reference in self.references(row):
            name = self._objects.name(reference)
            if self._objects.is_deleted(reference):
                return format_html(
                    '<span class="tracking-gone" title="{}">{}</span>', gettext("Deleted"), name
                )
            url = self._objects.url(reference)
            return format_html('<a href="{}">{}</a>', url, name) if url else name
        hint = gettext("Only a hash of the address is stored. Search for the address to find it.")
        text = gettext("address %s…") % row.key[:_HASH_SHOWN]
        return format_html('<span title="{}">{}</span>', hint, text)


@admin.register(MailConsent)
class MailConsentAdmin(RecordedRowsAdmin):
    """The ledger: it can be viewed, and nothing else."""

    display_class = ConsentDisplay
    list_display = ("changed", "recipient", "opens_label", "clicks_label", "how", "text")
    list_display_links = ("changed",)
    list_filter = ("opens", "clicks", ("changed_at", admin.DateFieldListFilter))
    LOOKUPS = frozenset(
        {
            *("id", "id__exact", "opens__exact", "clicks__exact"),
            *("changed_at__gte", "changed_at__lt", "changed_at__isnull"),
        }
    )
    search_fields = ("key",)
    search_help_text = _("An e-mail address, a key, or model:key such as shop.subscriber:7.")
    ordering = ("-changed_at", "-pk")
    fields = (
        "recipient", "opens_label", "clicks_label", "changed_exactly", "how", "text", "history",
    )  # fmt: skip
    readonly_fields = fields

    #: The page of a recipient lists at most this many changes, the latest.
    MAX_CHANGES = 200

    class Media:
        css = {"all": ["tracking/consents.css"]}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``: the ledger outlives what it is about."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find recipients by address, by key, or by model and key."""
        term = search_term.strip()
        if not term:
            return queryset, False
        reference = reference_from_text(term)
        if "@" in term and (reference is None or "@" not in reference.pk):
            try:
                return queryset.filter(digest=identify(term, queryset.db).digest), False
            except (AddressKeyLost, ValueError, Error):
                return queryset.none(), False
        if reference is not None and "." in reference.label:
            lowered = Reference(reference.label.lower(), reference.pk)
            return queryset.filter(digest=digest_of_row(lowered)), False
        return queryset.filter(key=term.replace("\0", "")), False

    # Columns.

    @admin.display(description=_("changed"))
    def changed(self, row: MailConsent) -> SafeString:
        """How long ago the recipient answered last."""
        return columns.relative_time(row.changed_at)

    @admin.display(description=_("changed"))
    def changed_exactly(self, row: MailConsent) -> str:
        """When the recipient answered last, to the second."""
        return columns.exact_time(row.changed_at)

    @admin.display(description=_("recipient"))
    def recipient(self, row: MailConsent) -> str:
        """The recipient."""
        return ConsentDisplay.of(row).recipient(row)

    @admin.display(description=_("opens"))
    def opens_label(self, row: MailConsent) -> SafeString:
        """What the recipient says about opens."""
        return state_label(row.opens, row.get_opens_display())

    @admin.display(description=_("clicks"))
    def clicks_label(self, row: MailConsent) -> SafeString:
        """What the recipient says about clicks."""
        return state_label(row.clicks, row.get_clicks_display())

    @admin.display(description=_("history"))
    def history(self, row: MailConsent) -> SafeString:
        """All that the recipient has said, the latest first."""
        rows = MailConsentChange.objects.filter(consent=row).order_by("-pk")
        changes = list(rows[: self.MAX_CHANGES + 1])
        context = {
            "changes": [
                {
                    "time": columns.exact_time(change.changed_at),
                    "opens": state_label(change.opens, change.get_opens_display()),
                    "clicks": state_label(change.clicks, change.get_clicks_display()),
                    "how": change.how or UNKNOWN,
                    "text": change.text or UNKNOWN,
                }
                for change in changes[: self.MAX_CHANGES]
            ],
            "limit": self.MAX_CHANGES if len(changes) > self.MAX_CHANGES else None,
        }
        return SafeString(render_to_string("admin/tracking/mailconsent/history.html", context))


def state_label(state: str, name: str) -> SafeString:
    """Return what a recipient says as a label.

    Args:
        state: of :class:`tracking.models.ConsentState`.
        name: its name for people.
    """
    return format_html('<span class="tracking-consent tracking-consent-{}">{}</span>', state, name)
