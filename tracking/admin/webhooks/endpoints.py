"""The endpoints of webhooks in the admin: their state, their secrets, a test."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, Q, QuerySet, TextField
from django.forms import Textarea, TextInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tracking.admin import columns
from tracking.admin.admin_page import admin_url, page
from tracking.admin.large_tables import LargeTableAdmin
from tracking.admin.webhooks.form import EndpointForm
from tracking.admin.webhooks.labels import state_label, url_lines
from tracking.models import WebhookEndpoint
from tracking.models.webhooks import SECRET_PREFIX
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN
from tracking.webhooks import claims, delivery, event_types, signing
from tracking.webhooks.http_post import Answer


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LargeTableAdmin):
    """Endpoints. A secret is shown once, when it is made."""

    form = EndpointForm
    change_form_template = "admin/tracking/webhookendpoint/change_form.html"
    list_display = ("address", "wanted", "state", "last_delivery", "waiting", "given_up")
    list_filter = ("active",)
    search_fields = ("url",)
    ordering = ("-pk",)
    sortable_by = ()
    readonly_fields = ("masked_secret", "state", "last_delivery", "dropped_events")
    formfield_overrides = {TextField: {"widget": Textarea(attrs={"rows": 3, "cols": 60})}}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the endpoints with the number of their messages."""
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(
            waiting_messages=Count("messages", filter=Q(messages__is_dead=False)),
            dead_messages=Count("messages", filter=Q(messages__is_dead=True)),
        )
        return counted

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields; those that tell about deliveries only of a saved endpoint."""
        fields = ("url", "types", "sources", "personal_data", "active")
        return fields if obj is None else (*fields, *self.readonly_fields)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, with room for a long URL."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        if "url" in form.base_fields:
            form.base_fields["url"].widget = TextInput(
                attrs={"class": "vLargeTextField", "placeholder": "https://", "inputmode": "url"}
            )
        return form

    # Saving.

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save what was changed, and not the state, which the sender may write meanwhile."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        if form.changed_data:
            obj.save(update_fields=form.changed_data)
        if obj.active and {"active", "url"} & set(form.changed_data):
            claims.forget_failures([obj.pk], obj._state.db)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Show the secret, this once."""
        return self._secret_page(request, obj, is_new=True)

    def response_change(self, request: HttpRequest, obj: Any) -> Any:
        """Send a test or change the secret, if that button was pressed."""
        if "_test" in request.POST:
            self._send_test(request, obj)
            return HttpResponseRedirect(request.get_full_path())
        if "_rotate" in request.POST:
            signing.rotate_secret(obj, timezone.now())
            self.log_change(request, obj, [{"changed": {"fields": [gettext("secret")]}}])
            return self._secret_page(request, obj, is_new=False)
        return super().response_change(request, obj)

    def _secret_page(self, request: HttpRequest, endpoint: Any, *, is_new: bool) -> HttpResponse:
        return page(
            request,
            self.admin_site,
            "webhookendpoint/secret",
            title=gettext("The secret of the endpoint"),
            opts=self.opts,
            endpoint=endpoint,
            is_new=is_new,
            list_url=admin_url(self.admin_site, "tracking_webhookendpoint_changelist"),
            endpoint_url=admin_url(self.admin_site, "tracking_webhookendpoint_change", endpoint.pk),
        )

    def _send_test(self, request: HttpRequest, endpoint: Any) -> None:
        answer = delivery.send_test(endpoint)
        if answer.failure is None:
            text = gettext("The endpoint accepted the test: status %s.") % answer.status
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = gettext("The test failed. %s") % describe(answer)
            self.message_user(request, text, messages.ERROR)

    # Columns.

    @admin.display(description=_("URL"))
    def address(self, endpoint: WebhookEndpoint) -> SafeString:
        """The URL."""
        return url_lines(endpoint.url)

    @admin.display(description=_("events"))
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        """The types of events that it asks for."""
        labels = dict(event_types.choices())
        if set(labels) <= set(endpoint.types):
            return gettext("All")
        return ", ".join(str(labels.get(name, name)) for name in endpoint.types)

    @admin.display(description=_("state"))
    def state(self, endpoint: WebhookEndpoint) -> str:
        """Whether deliveries succeed, and why not."""
        reason = endpoint.get_failure_display() if endpoint.failure else ""
        if not endpoint.active:
            return state_label("off", gettext("Inactive"), reason)
        if endpoint.failures and endpoint.failing_since:
            return state_label(
                "error",
                gettext("Failing"),
                columns.stacked(reason, self._first_failure(endpoint.failing_since)),
            )
        if endpoint.delivered_at is None:
            return state_label("off", gettext("No delivery yet"))
        return state_label("ok", gettext("Delivering"))

    def _first_failure(self, moment: datetime) -> str:
        text = gettext("First failure: %s") % columns.time_ago(moment)
        return columns.time_with_tooltip(moment, text)

    @admin.display(description=_("dropped events"))
    def dropped_events(self, endpoint: WebhookEndpoint) -> str:
        """Events that were dropped because too many waited."""
        return formatting.count(endpoint.dropped)

    @admin.display(description=_("last delivery"))
    def last_delivery(self, endpoint: WebhookEndpoint) -> str:
        """How long ago a message was accepted."""
        moment = endpoint.delivered_at
        return UNKNOWN if moment is None else columns.relative_time(moment)

    @admin.display(description=_("waiting"))
    def waiting(self, endpoint: Any) -> str:
        """The number of messages that wait, with a link to them."""
        return self._messages_link(endpoint, endpoint.waiting_messages, "waiting")

    @admin.display(description=_("given up"))
    def given_up(self, endpoint: Any) -> str:
        """The number of messages that were given up, with a link to them."""
        return self._messages_link(endpoint, endpoint.dead_messages, "dead")

    def _messages_link(self, endpoint: Model, number: int, state: str) -> str:
        text = formatting.count(number)
        path = admin_url(self.admin_site, "tracking_webhookmessage_changelist")
        if not (number and path):
            return text
        query = urlencode({"endpoint__id__exact": endpoint.pk, "state": state})
        return format_html('<a href="{}?{}">{}</a>', path, query, text)

    @admin.display(description=_("secret"))
    def masked_secret(self, endpoint: WebhookEndpoint) -> str:
        """The end of the secret, by which people recognise it."""
        masked = format_html("<code>{}…{}</code>", SECRET_PREFIX, endpoint.secret[-4:])
        until = endpoint.previous_secret_until
        if until is None or until <= timezone.now():
            return masked
        overlap = gettext("The previous secret signs, too, until %s.") % columns.exact_time(until)
        return columns.stacked(masked, columns.secondary(overlap))


def describe(answer: Answer) -> str:
    """Return why a POST failed, in a sentence and with what the other side said."""
    reason = answer.failure.label if answer.failure else ""
    details = [f"HTTP {answer.status}" if answer.status else "", answer.excerpt]
    return f"{reason}: {' '.join(filter(None, details))}".rstrip(": ")
