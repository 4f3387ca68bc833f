"""The pages beside the ban list: a confirmation before bans, import and export."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking import ban_files, bans, client, tokens
from tracking.admin.masking import is_wide, may_see_whole, shown
from tracking.ban_files import Entry, Flaw
from tracking.models import BannedIP

#: Networks that one confirmation takes at most.
MAX_NETWORKS = 200
#: Bytes of a list that the browser takes along to the confirmation; Django takes 2.5 MB.
MAX_IMPORT = 1_000_000
#: Lines that are shown of those that cannot be banned.
MAX_SHOWN = 20

#: Between two pages a network travels in a token: who sees it masked sees no more of it there.
_SALT = "tracking.admin.bans"

_DAYS = {"": None, "1": 1, "7": 7, "30": 30}


def urls(model_admin: "admin.ModelAdmin[Any]") -> list[URLPattern]:
    """Return the patterns of these pages."""
    wrap = model_admin.admin_site.admin_view
    return [
        path(f"{name}/", wrap(partial(view, model_admin)), name=f"tracking_bannedip_{name}")
        for name, view in (("confirm", _confirm), ("import", _import), ("export", _export))
    ]


def _page(
    request: HttpRequest, site: admin.AdminSite, template: str, **context: Any
) -> TemplateResponse:
    request.current_app = site.name
    return TemplateResponse(
        request,
        f"admin/tracking/bannedip/{template}.html",
        {**site.each_context(request), "opts": BannedIP._meta, **context},
    )


def _back_to_list(request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> HttpResponse:
    name = model_admin.admin_site.name
    if model_admin.has_view_permission(request):
        return HttpResponseRedirect(reverse(f"{name}:tracking_bannedip_changelist"))
    return HttpResponseRedirect(reverse(f"{name}:index"))


# The confirmation.


class ConfirmationForm(forms.Form):
    """Why, and for how long."""

    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)
    days = forms.ChoiceField(
        label=_("Expires"),
        required=False,
        choices=[
            ("", _("never")),
            ("1", _("in one day")),
            ("7", _("in one week")),
            ("30", _("in one month")),
        ],
    )

    reason.widget.attrs["class"] = "vTextField"


class Candidate(NamedTuple):
    """A network that may be banned."""

    network: str
    #: How it is written for who is looking.
    shown: str
    token: str
    #: How many visitors of now it hits, or ``None`` where that would tell an address.
    visitors: int | None
    objections: list[str]


def ban_confirmation(
    request: HttpRequest,
    admin_site: admin.AdminSite,
    networks: Iterable[str],
    *,
    title: str,
    form: ConfirmationForm | None = None,
) -> HttpResponse:
    """Return a page that shows whom the bans would hit, and asks before they are made.

    An action or a view of another model returns it as its answer.

    Args:
        request: the request; who sends it needs the permission ``tracking.add_bannedip``.
        admin_site: the site of the admin.
        networks: what is to be banned, as of :func:`tracking.bans.network_for`.
        title: the heading.
        form: reason and expiry as they were sent, if they are to be corrected.

    Raises:
        django.core.exceptions.PermissionDenied: the permission is not held.
    """
    if not request.user.has_perm("tracking.add_bannedip"):
        raise PermissionDenied
    wanted = list(islice(dict.fromkeys(networks), MAX_NETWORKS + 1))
    candidates = _candidates(request, wanted[:MAX_NETWORKS])
    return _page(
        request,
        admin_site,
        "confirm",
        title=title,
        form=form or ConfirmationForm(),
        candidates=[one for one in candidates if not one.objections],
        refused=[one for one in candidates if one.objections],
        is_cut=len(wanted) > MAX_NETWORKS,
        limit=MAX_NETWORKS,
        action=reverse(f"{admin_site.name}:tracking_bannedip_confirm"),
    )


def confirmation_url(admin_site: admin.AdminSite, networks: Iterable[str]) -> str:
    """Return the URL of that page, for a link or a button.

    Args:
        admin_site: the site of the admin.
        networks: what is to be banned; a few, since they go into the URL.
    """
    query = urlencode({"network": [_sealed(network) for network in networks]}, doseq=True)
    return f"{reverse(f'{admin_site.name}:tracking_bannedip_confirm')}?{query}"


def _candidates(request: HttpRequest, networks: Sequence[str]) -> list[Candidate]:
    whole = may_see_whole(request)
    countable = [network for network in networks if whole or is_wide(network)]
    visitors = bans.visitors_by_network(countable)
    own_address = client.address(request)
    return [
        Candidate(
            network,
            shown(network, whole=whole),
            _sealed(network),
            visitors.get(network),
            bans.objections(network, own_address=own_address),
        )
        for network in networks
    ]


def _sealed(network: str) -> str:
    return tokens.dumps([network], {}, salt=_SALT)


def _unsealed(texts: Iterable[str]) -> list[str]:
    """Return the networks of those tokens that were made here."""
    networks = []
    for text in texts:
        try:
            networks.append(str(tokens.loads(text, salt=_SALT).args[0]))
        except tokens.BadToken:
            continue
    return networks


def _confirm(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Show the confirmation, or do what was confirmed."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else request.GET
    networks = _unsealed(sent.getlist("network")[:MAX_NETWORKS])
    if not networks:
        messages.error(request, gettext("There is nothing to ban."))
        return _back_to_list(request, model_admin)
    form = ConfirmationForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        title = gettext("Ban addresses")
        return ban_confirmation(request, model_admin.admin_site, networks, title=title, form=form)
    days = _DAYS[form.cleaned_data["days"]]
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    _ban(request, networks, form.cleaned_data["reason"], expires_at)
    return _back_to_list(request, model_admin)


def _ban(request: HttpRequest, networks: Sequence[str], reason: str, expires_at: Any) -> None:
    whole = may_see_whole(request)
    own_address = client.address(request)
    count = 0
    for network in dict.fromkeys(networks):
        name = shown(network, whole=whole)
        if found := bans.objections(network, own_address=own_address):
            messages.warning(request, gettext("%s is not banned.") % name + " " + " ".join(found))
            continue
        banned = bans.ban(network, reason, expires_at)
        count += 1
        LogEntry.objects.create(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(BannedIP),
            object_id=str(banned.pk),
            object_repr=name,
            action_flag=ADDITION,
            change_message=reason,
        )
    _tell_count(request, count)


def _tell_count(request: HttpRequest, count: int) -> None:
    message = ngettext("%(count)d network is banned.", "%(count)d networks are banned.", count)
    messages.success(request, message % {"count": count})


# Import and export.


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
        if file := cleaned.get("file"):
            if file.size > MAX_IMPORT:
                raise forms.ValidationError(self._too_large())
            try:
                cleaned["text"] = file.read().decode("utf-8-sig").replace("\0", "\ufffd")
            except UnicodeDecodeError as error:
                raise forms.ValidationError(gettext("The file is no text in UTF-8.")) from error
        text = cleaned.get("text", "")
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
        own_address = client.address(request)
        for found in ban_files.entries_from(text):
            if isinstance(found, Flaw):
                self.flaws.append(found)
            elif why := bans.objections(found.network, own_address=own_address):
                self.refused.append(Flaw(found.line, found.network, " ".join(why)))
            else:
                self.entries[found.network] = found
        self._whole = may_see_whole(request)

    @property
    def known(self) -> int | None:
        """How many are banned already, for who may know single ones of them."""
        return len(ban_files.known(self.entries)) if self._whole else None

    @property
    def new(self) -> int:
        """How many are not, or all, for who may not know."""
        return len(self.entries) - (self.known or 0)

    @property
    def visitors(self) -> int:
        """How many visitors of now they hit, as far as that tells no address."""
        countable = (network for network in self.entries if self._whole or is_wide(network))
        return bans.visitors_hit(countable)

    @property
    def shown_flaws(self) -> list[Flaw]:
        """The first lines that make no sense."""
        return self.flaws[:MAX_SHOWN]

    @property
    def shown_refused(self) -> list[Flaw]:
        """The first that must not be banned."""
        return self.refused[:MAX_SHOWN]


def _import(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Ask for a list, show what it would do, and do it."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    page = partial(_page, request, model_admin.admin_site, title=gettext("Import bans"))
    if request.method != "POST":
        return page("import", form=ImportForm())
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return page("import", form=form)
    preview = Preview(request, form.cleaned_data["text"])
    if "confirmed" not in request.POST:
        return page("preview", text=form.cleaned_data["text"], preview=preview)
    ban_files.add(preview.entries.values())
    _tell_count(request, len(preview.entries))
    return _back_to_list(request, model_admin)


def may_export(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> bool:
    """Return whether the whole list may be taken away."""
    return model_admin.has_view_permission(request) and may_see_whole(request)


def _export(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> StreamingHttpResponse:
    if not may_export(model_admin, request):
        raise PermissionDenied
    return StreamingHttpResponse(
        ban_files.export(BannedIP.objects.all()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="bans.csv"'},
    )
