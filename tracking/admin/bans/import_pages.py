"""The pages for import and export of the ban list."""

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
from tracking.admin.bans.pages import (
    MAX_SHOWN,
    back_to_list,
    log_import,
    may_change,
    may_know,
    page,
    rule,
    tell,
)
from tracking.admin.masking import may_see_whole
from tracking.bans import import_export
from tracking.bans.import_export import Entry, Flaw
from tracking.models import BannedIP

#: Characters of a list that the browser takes along to the confirmation; Django takes 2.5 MB.
MAX_IMPORT = 1_000_000


class ImportForm(forms.Form):
    """A list, from a file or typed in."""

    file = forms.FileField(label=_("File"), required=False)
    text = forms.CharField(
        label=_("or paste it here"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "class": "vLargeTextField"}),
    )

    def clean(self) -> dict[str, Any]:
        """Leave the list in ``text``, wherever it comes from."""
        cleaned = super().clean() or {}
        text = cleaned.get("text", "")
        if file := cleaned.get("file"):
            if file.size > MAX_IMPORT:
                raise forms.ValidationError(self._too_large())
            try:
                text = file.read().decode("utf-8-sig").replace("\0", "\N{REPLACEMENT CHARACTER}")
            except UnicodeDecodeError as error:
                raise forms.ValidationError(gettext("The file is no text in UTF-8.")) from error
        # Browsers send each line with two characters at its end, which is not the list's fault.
        cleaned["text"] = text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > MAX_IMPORT:
            raise forms.ValidationError(self._too_large())
        if not text.strip() and not self.errors:
            raise forms.ValidationError(gettext("Choose a file, or paste a list."))
        return cleaned

    def _too_large(self) -> str:
        return gettext("That is more than 1 MB. Use: manage.py tracking_ban --import FILE")


class Preview:
    """What a list would do."""

    def __init__(self, request: HttpRequest, text: str) -> None:
        self.entries: dict[str, Entry] = {}
        self.flaws: list[Flaw] = []
        self.refused: list[Flaw] = []
        self.may_change = may_change(request)
        self._knows = may_know(request)
        own_address = client_address.address(request)
        for found in import_export.entries_from(text):
            if isinstance(found, Flaw):
                self.flaws.append(found)
            elif import_export.is_over(found):
                why = gettext("The ban would be over before it begins.")
                self.refused.append(Flaw(found.line, found.network, why))
            elif objections := bans.objections(found.network, own_address=own_address):
                self.refused.append(Flaw(found.line, found.network, " ".join(objections)))
            else:
                self.entries[found.network] = found

    @cached_property
    def known(self) -> list[Entry]:
        """The bans in force of what is banned already, as far as they may be known."""
        return list(import_export.known(filter(self._knows, self.entries)).values())

    @property
    def new(self) -> int:
        """How many are not banned, as far as that may be known."""
        return len(self.entries) - len(self.known)

    @property
    def does_something(self) -> bool:
        """Whether there is anything to confirm."""
        return bool(self.new or (self.known and self.may_change))

    @cached_property
    def visitors(self) -> int:
        """How many visitors of now they hit, as far as that tells no address."""
        return bans.visitors_hit(filter(self._knows, self.entries))

    @property
    def shown_known(self) -> list[Entry]:
        """The first that are banned already."""
        return self.known[:MAX_SHOWN]

    @property
    def shown_flaws(self) -> list[Flaw]:
        """The first lines that make no sense."""
        return self.flaws[:MAX_SHOWN]

    @property
    def shown_refused(self) -> list[Flaw]:
        """The first that must not be banned."""
        return self.refused[:MAX_SHOWN]


def take_in(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Ask for a list, show what it would do, and do it."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    answer = partial(page, request, model_admin.admin_site, title=gettext("Import bans"))
    if request.method != "POST":
        return answer("import", form=ImportForm())
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return answer("import", form=form)
    preview = Preview(request, form.cleaned_data["text"])
    if "confirmed" not in request.POST:
        return answer("preview", text=form.cleaned_data["text"], preview=preview)
    replace = "replace" in request.POST
    added = import_export.add(preview.entries.values(), rule(request, replace=replace))
    log_import(request, added)
    tell(request, added)
    return back_to_list(request, model_admin)


def may_export(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> bool:
    """Return whether the whole list may be taken away."""
    return model_admin.has_view_permission(request) and may_see_whole(request)


def give_out(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> StreamingHttpResponse:
    """Send the whole list as a file."""
    if not may_export(model_admin, request):
        raise PermissionDenied
    return StreamingHttpResponse(
        import_export.export(BannedIP.objects.all()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="bans.csv"'},
    )
