"""The pages that import and export the ban list."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.admin.bans.outcome import add_messages, log_import
from tracking.admin.bans.pages import back_to_list, page
from tracking.admin.bans.permissions import (
    ban_visibility,
    existing_ban_policy,
    may_change_bans,
)
from tracking.admin.masking import may_view_full_addresses
from tracking.bans import bulk_ban, import_export, list_encodings
from tracking.bans.bulk_ban import BanEntry
from tracking.bans.import_export import InvalidLine
from tracking.bans.list_formats import READABLE_FORMS
from tracking.models import BannedIP

#: Characters of an imported list. The preview sends it back; Django accepts 2.5 MB.
MAX_IMPORT = 1_000_000

#: The preview shows at most this many lines of each table.
MAX_SHOWN = 20


class ImportForm(forms.Form):
    """A list of bans, as a file or as text."""

    file = forms.FileField(label=_("File"), required=False)
    text = forms.CharField(
        label=_("Or paste the list here"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "vLargeTextField"}),
    )

    def clean(self) -> dict[str, Any]:
        """Put the list into ``text``, also if it comes from a file."""
        cleaned = super().clean() or {}
        text = cleaned.get("text", "")
        if file := cleaned.get("file"):
            if file.size > MAX_IMPORT:
                raise forms.ValidationError(self._too_large())
            try:
                text = list_encodings.decode_list(file.read(), MAX_IMPORT)
            except list_encodings.FileTooLargeError as error:
                raise forms.ValidationError(self._too_large()) from error
            except list_encodings.UnreadableFileError as error:
                raise forms.ValidationError(str(error)) from error
            text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        # Browsers send CRLF, and each would count as two characters.
        cleaned["text"] = text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > MAX_IMPORT:
            raise forms.ValidationError(self._too_large())
        if not text.strip() and not self.errors:
            raise forms.ValidationError(gettext("Choose a file or paste a list."))
        return cleaned

    def _too_large(self) -> str:
        return gettext("The list is larger than 1 MB. Use: manage.py tracking_ban --import FILE")


class Preview:
    """What the import of a list would change.

    Args:
        request: the current request.
        text: the list, as :func:`tracking.bans.import_export.parse_lines` reads it.
    """

    readable_forms = READABLE_FORMS

    def __init__(self, request: HttpRequest, text: str) -> None:
        self.entries: dict[str, BanEntry] = {}
        self.flaws: list[InvalidLine] = []
        self.refused: list[InvalidLine] = []
        self.may_change = may_change_bans(request)
        self._is_visible = ban_visibility(request)
        own_address = client_address.client_address(request)
        for found in import_export.parse_lines(text):
            if isinstance(found, InvalidLine):
                self.flaws.append(found)
            elif found.is_expired:
                why = gettext("The expiry is in the past.")
                self.refused.append(InvalidLine(found.line, found.network, why))
            elif objections := bans.find_objections(found.network, own_address=own_address):
                self.refused.append(InvalidLine(found.line, found.network, " ".join(objections)))
            else:
                self.entries[found.network] = found

    @cached_property
    def known(self) -> list[BanEntry]:
        """Existing bans of listed networks, as far as the user may know of them."""
        return list(bulk_ban.active_bans(filter(self._is_visible, self.entries)).values())

    @property
    def new(self) -> int:
        """Number of new bans, as far as the user may know."""
        return len(self.entries) - len(self.known)

    @cached_property
    def too_wide(self) -> list[str]:
        """Objections to the list as a whole; then nothing of it is banned."""
        return bans.find_wide_coverage(self.entries)

    @property
    def does_something(self) -> bool:
        """Whether the import would change anything, and may."""
        return not self.too_wide and bool(self.new or (self.known and self.may_change))

    @cached_property
    def visitors(self) -> int:
        """Number of current visitors affected, as far as that reveals no address."""
        return bans.count_affected_visitors(filter(self._is_visible, self.entries))

    @property
    def shown_new(self) -> list[BanEntry]:
        """The first of the new bans."""
        known = {one.network for one in self.known}
        return [one for one in self.entries.values() if one.network not in known][:MAX_SHOWN]

    @property
    def shown_known(self) -> list[BanEntry]:
        """The first of the existing bans."""
        return self.known[:MAX_SHOWN]

    @property
    def shown_flaws(self) -> list[InvalidLine]:
        """The first of the lines that cannot be read."""
        return self.flaws[:MAX_SHOWN]

    @property
    def shown_refused(self) -> list[InvalidLine]:
        """The first of the networks that must not be banned."""
        return self.refused[:MAX_SHOWN]


def import_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Ask for a list, show a preview, and import the list once that is confirmed.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not add bans.
    """
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    render = partial(page, request, model_admin.admin_site, title=gettext("Import bans"))
    if request.method != "POST":
        return render("import", form=ImportForm(), readable_forms=READABLE_FORMS)
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return render("import", form=form, readable_forms=READABLE_FORMS)
    preview = Preview(request, form.cleaned_data["text"])
    if "confirmed" not in request.POST or preview.too_wide:
        return render("import_preview", text=form.cleaned_data["text"], preview=preview)
    replace = "replace" in request.POST
    added = bulk_ban.ban_all(
        preview.entries.values(), existing_ban_policy(request, replace=replace)
    )
    log_import(request, added)
    add_messages(request, added)
    return back_to_list(request, model_admin)


def may_export(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> bool:
    """Return whether the user may export the whole list."""
    return model_admin.has_view_permission(request) and may_view_full_addresses(request)


def export_view(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest
) -> StreamingHttpResponse:
    """Send the whole list as a CSV file.

    Raises:
        django.core.exceptions.PermissionDenied: the user may not view all of it.
    """
    if not may_export(model_admin, request):
        raise PermissionDenied
    return StreamingHttpResponse(
        import_export.export_bans(BannedIP.objects.all()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="bans.csv"'},
    )
