"""The ban list and the untracked user agents."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.admin import columns, formatting
from tracking.admin.bans import confirmation, import_pages
from tracking.admin.bans.confirmation import ban_confirmation, confirmation_url
from tracking.admin.bans.pages import back_to_list, log, may_know
from tracking.admin.large_tables import LargeTableAdmin
from tracking.admin.masking import MASK, may_see_whole, shown
from tracking.bans import import_export
from tracking.bans.import_export import Added, Entry, Known
from tracking.models import BannedIP, UntrackedUserAgent

__all__ = ["BannedIPAdmin", "UntrackedUserAgentAdmin", "ban_confirmation", "confirmation_url"]

if TYPE_CHECKING:  # Django's own classes take no type arguments when they run
    _ModelForm = forms.ModelForm[BannedIP]
else:
    _ModelForm = forms.ModelForm


class BanForm(_ModelForm):
    """A ban by hand: refused if it hits the wrong ones, confirmed if it hits anybody."""

    #: Hidden until there is something to confirm.
    confirmed = forms.BooleanField(
        label=_("Ban it all the same"), required=False, widget=forms.HiddenInput
    )

    # Set by the admin, for the request.
    own_address: str | None
    may_know: Callable[[str], bool]

    def clean(self) -> dict[str, Any] | None:
        """Refuse what must not be banned, and ask before visitors of now are kept out."""
        cleaned = super().clean()
        network = str(self.cleaned_data.get("network") or "")
        changes = {"network", "expires_at"} & set(self.changed_data)
        if self.instance.pk and "network" in changes and not self.may_know(network):
            # Whether it is banned already, and so cannot be taken, must not be known either.
            message = gettext("Only who may see whole addresses may make it that narrow.")
            self.add_error("network", message)
        # That it is a network at all is for the model to say.
        elif client_address.network_of(network) and changes and not self._is_over():
            if found := bans.objections(network, own_address=self.own_address):
                self.add_error("network", found)
            elif not self.cleaned_data.get("confirmed"):
                self._ask(network)
        return cleaned

    def validate_unique(self) -> None:
        """Refuse what is banned already, unless that must not be known."""
        if self.may_know(str(self.instance.network)):
            super().validate_unique()

    @property
    def is_question(self) -> bool:
        """Whether nothing is wrong, and there is only something to confirm."""
        return set(self.errors) == {"confirmed"}

    def _is_over(self) -> bool:
        """Return whether the ban has an end that lies in the past, which ends an old one."""
        expires_at = self.cleaned_data.get("expires_at")
        if expires_at is None or expires_at > timezone.now():
            return False
        if self.instance.pk is None:
            self.add_error("expires_at", gettext("The ban would be over before it begins."))
        return True

    def _ask(self, network: str) -> None:
        count = bans.visitors_hit([network]) if self.may_know(network) else 0
        if count:
            self.fields["confirmed"].widget = forms.CheckboxInput()
            message = ngettext(
                "%(count)s visitor who is on the site now would be kept out.",
                "%(count)s visitors who are on the site now would be kept out.",
                count,
            )
            self.add_error("confirmed", message % {"count": formatting.count(count)})


class StateFilter(admin.SimpleListFilter):
    """Whether a ban is in force."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("live", _("In force")), ("expired", _("Expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "live":
            return BannedIP.objects.live() & queryset
        if self.value() == "expired":
            return queryset.filter(expires_at__lte=timezone.now())
        return queryset


@admin.register(BannedIP)
class BannedIPAdmin(LargeTableAdmin):
    """Bans, found by any address that they keep out.

    Who may not see whole addresses sees the networks they are in, and no page of a ban.
    """

    form = BanForm
    change_form_template = "admin/tracking/bannedip/change_form.html"
    change_list_template = "admin/tracking/bannedip/change_list.html"
    list_display = ("network", "reason", "banned_at", "ends")
    list_filter = (StateFilter,)
    ordering = ("-pk",)
    sortable_by = ()
    readonly_fields = ("created_at",)
    search_fields = ("network", "reason")
    search_help_text = _("An address, to find the bans that keep it out; or a part of a reason.")

    def get_urls(self) -> list[URLPattern]:
        """Add the pages for import, export and confirmation."""
        return [*confirmation.urls(self), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, with links to what may be done with all of it."""
        links = {
            "may_import": self.has_add_permission(request),
            "may_export": import_pages.may_export(self, request),
        }
        return super().changelist_view(request, {**links, **(extra_context or {})})

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, which knows who is asking."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.own_address = client_address.address(request)
        form.may_know = staticmethod(may_know(request))
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields; who may only look has nothing to confirm."""
        if obj is None:
            return ("network", "reason", "expires_at", "confirmed")
        fields = ("network", "reason", "created_at", "expires_at")
        return (*fields, "confirmed") if self.has_change_permission(request, obj) else fields

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Show the form. Nothing is to be corrected where there is only a question."""
        form = context["adminform"].form
        if form.is_bound and form.is_question:
            context = {**context, "errors": None, "is_question": True}
        return super().render_change_form(request, context, *args, **kwargs)

    # Who bans an address that must not be seen is not told whether it was banned before: not
    # by an error, and not by the number of the row.

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the ban, or leave the one that there is."""
        if self._may_open(request, obj):
            super().save_model(request, obj, form, change)
        else:
            entry = Entry(0, obj.network, obj.reason, obj.expires_at)
            import_export.add([entry], lambda _network: Known.KEPT)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Write into the log who has banned it."""
        if self._may_open(request, obj):
            return super().log_addition(request, obj, message)
        return log(request, Added([obj.network], [], []))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Say that it is banned, and go on."""
        if self._may_open(request, obj):
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, gettext("%s is banned.") % obj.network, messages.SUCCESS)
        return back_to_list(request, self)

    # Who may see what.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the list may be seen, or the page of one ban."""
        return super().has_view_permission(request, obj) and self._may_open(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether bans may be changed."""
        return super().has_change_permission(request, obj) and self._may_open(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether bans may be lifted."""
        return super().has_delete_permission(request, obj) and self._may_open(request, obj)

    def _may_open(self, request: HttpRequest, obj: BannedIP | None) -> bool:
        return obj is None or may_know(request)(obj.network)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        """Return the actions, without that for deletion where it would name what is masked."""
        # Django before 6.1 knows of one place for actions only.
        place = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **place)
        if not may_see_whole(request):
            actions.pop("delete_selected", None)
        return actions

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns."""
        first = "network" if may_see_whole(request) else "masked_network"
        return (first, *self.list_display[1:])

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Return the columns that lead to the page of a ban."""
        return list_display[:1] if may_see_whole(request) else None

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether the URL may filter by ``lookup``; asking would tell what is masked."""
        if request is None:
            return False
        if lookup.startswith("network"):
            return may_see_whole(request)
        return bool(super().lookup_allowed(lookup, value, request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find bans by an address that they contain, or by their reason."""
        term = search_term.strip()
        address = client_address.normalise(term) or term
        at_most = (32, 128) if may_see_whole(request) else MASK
        if not term:
            return queryset, False
        if client_address.network_of(address):
            around = bans.networks_around(address, at_most=at_most)
            return queryset.filter(network__in=around), False
        return queryset.filter(reason__icontains=term.replace("\0", "")), False

    # The columns.

    @admin.display(description=_("network"))
    def masked_network(self, ban: BannedIP) -> str:
        """The network, for who may not see whole addresses."""
        return shown(ban.network, whole=False)

    @admin.display(description=_("banned"))
    def banned_at(self, ban: BannedIP) -> SafeString:
        """How long ago; exact where the pointer rests."""
        return _time(ban.created_at, columns.age(ban.created_at))

    @admin.display(description=_("expires"))
    def ends(self, ban: BannedIP) -> str:
        """In how long; exact where the pointer rests."""
        if ban.expires_at is None:
            return gettext("never")
        if ban.expires_at <= timezone.now():
            return _time(ban.expires_at, gettext("expired"))
        return _time(ban.expires_at, columns.left(ban.expires_at))


def _time(moment: datetime, text: str) -> SafeString:
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    exact = date_format(local, "DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, text)


@admin.register(UntrackedUserAgent)
class UntrackedUserAgentAdmin(LargeTableAdmin):
    """Words that tell who is not counted."""

    list_display = ("keyword",)
    search_fields = ("keyword",)
    ordering = ("keyword",)
