"""The form of an endpoint."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.models import WebhookEndpoint
from tracking.webhooks import endpoint_urls, event_types

if TYPE_CHECKING:  # Django's own class takes no type arguments when it runs
    _ModelForm = forms.ModelForm[WebhookEndpoint]
else:
    _ModelForm = forms.ModelForm


class EndpointForm(_ModelForm):
    """An endpoint, with a box for each type of event."""

    types = forms.MultipleChoiceField(
        label=_("Events"),
        choices=event_types.choices,
        initial=event_types.all_types,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("url", "types", "sources", "personal_data", "active")

    def clean_url(self) -> Any:
        """Refuse a URL that no message can be sent to."""
        url = self.cleaned_data["url"].strip()
        if problem := endpoint_urls.problem_of(url):
            raise ValidationError(gettext(problem), code="invalid")
        return url
