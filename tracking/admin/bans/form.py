"""The form for a single ban."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking import bans, client_address
from tracking.models import BannedIP
from tracking.reports import formatting

if TYPE_CHECKING:  # Django's own classes take no type arguments when they run
    _ModelForm = forms.ModelForm[BannedIP]
else:
    _ModelForm = forms.ModelForm


class BanForm(_ModelForm):
    """A single ban: refused for protected networks, confirmed if it affects current visitors."""

    #: Hidden unless the ban needs confirmation.
    confirmed = forms.BooleanField(label=_("Ban anyway"), required=False, widget=forms.HiddenInput)

    # Set by the ModelAdmin for each request.
    own_address: str | None
    is_visible: Callable[[str], bool]

    def clean(self) -> dict[str, Any] | None:
        """Refuse protected networks, and ask for confirmation if current visitors are affected."""
        cleaned = super().clean()
        network = str(self.cleaned_data.get("network") or "")
        changes = {"network", "expires_at"} & set(self.changed_data)
        if self.instance.pk and "network" in changes and not self.is_visible(network):
            # The user may not know whether that network is banned, so no error may reveal it.
            message = gettext(
                "You need permission to view full IP addresses to ban such a narrow network."
            )
            self.add_error("network", message)
        # The model's own validation reports a malformed network.
        elif client_address.network_of(network) and changes and not self._has_expired():
            if found := bans.find_objections(network, own_address=self.own_address):
                self.add_error("network", found)
            elif not self.cleaned_data.get("confirmed"):
                self._ask_for_confirmation(network)
        return cleaned

    def validate_unique(self) -> None:
        """Refuse networks that are banned already, if the user may know that."""
        if self.is_visible(str(self.instance.network)):
            super().validate_unique()

    @property
    def is_question(self) -> bool:
        """Whether the form has no errors and only needs confirmation."""
        return set(self.errors) == {"confirmed"}

    def _has_expired(self) -> bool:
        """Return whether the expiry is in the past, which is an error for a new ban."""
        expires_at = self.cleaned_data.get("expires_at")
        if expires_at is None or expires_at > timezone.now():
            return False
        if self.instance.pk is None:
            self.add_error("expires_at", gettext("The expiry is in the past."))
        return True

    def _ask_for_confirmation(self, network: str) -> None:
        count = bans.count_affected_visitors([network]) if self.is_visible(network) else 0
        if count:
            self.fields["confirmed"].widget = forms.CheckboxInput()
            message = ngettext(
                "Affects %(count)s current visitor.",
                "Affects %(count)s current visitors.",
                count,
            )
            self.add_error("confirmed", message % {"count": formatting.count(count)})
