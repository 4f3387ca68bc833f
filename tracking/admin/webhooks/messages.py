"""The messages of webhooks in the admin: those that wait, and those that were given up."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from tracking import client_address
from tracking.admin import columns
from tracking.admin.large_tables import LargeTableAdmin
from tracking.admin.masking import may_view_full_addresses
from tracking.admin.webhooks.labels import state_label, url_lines
from tracking.models import WebhookMessage
from tracking.reports.formatting import UNKNOWN
from tracking.webhooks import claims, sender_thread

#: Characters of the events that a page shows.
_MAX_SHOWN = 20_000

#: Characters of an answer that the list shows.
_SHORT = 80


class StateFilter(admin.SimpleListFilter):
    """Filters messages by whether they were given up."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [("dead", _("Given up")), ("waiting", _("Waiting"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the messages in the chosen state."""
        if self.value() in {"dead", "waiting"}:
            return queryset.filter(is_dead=self.value() == "dead")
        return queryset


@admin.register(WebhookMessage)
class WebhookMessageAdmin(LargeTableAdmin):
    """Messages that were not delivered. They can be viewed, deleted and sent again."""

    list_display = ("time_ago", "endpoint_url", "state", "attempts", "short_answer", "events")
    list_filter = (StateFilter, "endpoint", "reason")
    list_select_related = ("endpoint",)
    ordering = ("-created_at",)
    sortable_by = ()
    actions = ("replay",)
    fields = (
        "header", "created_at", "endpoint_url", "state", "attempts", "last_answer", "tried_at",
        "next_attempt", "events", "content",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the messages of endpoints that exist."""
        return super().get_queryset(request).filter(endpoint__url__isnull=False)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return one message, with what the user may see of it."""
        message: Any = super().get_object(request, *args, **kwargs)
        if message is not None:
            message.shows_addresses = may_view_full_addresses(request)
        return message

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return ``False``: messages are recorded."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``: messages do not change."""
        return False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may send messages again."""
        return request.user.has_perm("tracking.replay_webhookmessage")

    @admin.action(description=_("Send selected messages again"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookMessage]) -> None:
        """Send messages that were given up again, with their ids."""
        chosen = queryset.filter(is_dead=True)
        endpoints = set(chosen.values_list("endpoint", flat=True))
        keys = list(chosen.values_list("pk", flat=True))
        rows = WebhookMessage.objects.using(queryset.db).filter(pk__in=keys)
        number = claims.replay(rows)
        claims.forget_failures(endpoints, queryset.db)
        sender_thread.wake()
        text = ngettext("%s message will be sent again.", "%s messages will be sent again.", number)
        self.message_user(request, text % number, messages.SUCCESS if number else messages.WARNING)

    # Columns.

    @admin.display(description=_("created"))
    def time_ago(self, message: WebhookMessage) -> SafeString:
        """How long ago it was made; the exact time is in the tooltip."""
        return columns.relative_time(message.created_at)

    @admin.display(description=_("endpoint"))
    def endpoint_url(self, message: WebhookMessage) -> SafeString:
        """The address of the endpoint."""
        return url_lines(message.endpoint.url)

    @admin.display(description=_("state"))
    def state(self, message: WebhookMessage) -> str:
        """Whether it was given up, and why."""
        reason = message.get_reason_display() if message.reason else ""
        if message.is_dead:
            return state_label("error", gettext("Given up"), reason)
        return state_label("off", gettext("Waiting"), reason)

    @admin.display(description="webhook-id")
    def header(self, message: WebhookMessage) -> str:
        """What the receiver knows it by."""
        return message.webhook_id

    @admin.display(description=_("last answer"))
    def last_answer(self, message: WebhookMessage) -> str:
        """The status and the beginning of the last answer."""
        status = f"HTTP {message.status}" if message.status else ""
        shown = columns.stacked(status, columns.secondary(message.answer))
        return shown or UNKNOWN

    @admin.display(description=_("last answer"))
    def short_answer(self, message: WebhookMessage) -> str:
        """The same, shorter."""
        message.answer = Truncator(message.answer).chars(_SHORT)
        return self.last_answer(message)

    @admin.display(description=_("next attempt"))
    def next_attempt(self, message: WebhookMessage) -> str:
        """When it is tried again."""
        if message.is_dead:
            return gettext("never")
        if message.next_attempt_at <= timezone.now():
            return gettext("now")
        return columns.time_with_tooltip(
            message.next_attempt_at, columns.time_left(message.next_attempt_at)
        )

    @admin.display(description=_("content"))
    def content(self, message: Any) -> SafeString:
        """The events; addresses are masked for users who may not view them."""
        events = json.loads(f"[{message.items}]")
        for event in events:
            address = event["data"].get("ip_address")
            if address and not message.shows_addresses:
                event["data"]["ip_address"] = client_address.mask(address)
        text = json.dumps(events, indent=2, ensure_ascii=False)
        if len(text) > _MAX_SHOWN:
            text = text[:_MAX_SHOWN] + "\n…"
        return format_html('<pre class="tracking-data">{}</pre>', text)
