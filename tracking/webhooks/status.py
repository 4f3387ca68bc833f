"""What waits for endpoints, and which endpoints fail."""

from datetime import timedelta
from typing import NamedTuple

from django.db import router
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from tracking.models import WebhookEndpoint, WebhookMessage

#: A message that could be sent, and was not for so long: nobody delivers.
OVERDUE = timedelta(minutes=10)


class Status(NamedTuple):
    """The state of delivery.

    Attributes:
        endpoints: active endpoints.
        failing: active endpoints whose last attempt failed.
        waiting: events that wait.
        given_up: messages that were given up.
        overdue: messages that nobody has tried to deliver, though their endpoint works.
    """

    endpoints: int
    failing: int
    waiting: int
    given_up: int
    overdue: int

    def problems(self) -> list[str]:
        """Return the problems in a few English words each, marked for translation."""
        found = {
            gettext_noop("webhook endpoints do not accept messages"): self.failing,
            gettext_noop(
                "no process delivers webhooks: see TRACKING_WEBHOOK_THREAD, or run "
                "tracking_webhooks"
            ): self.overdue,
        }
        return [problem for problem, number in found.items() if number]


def read() -> Status:
    """Return the state of delivery. One query on sites without endpoints.

    Raises:
        django.db.DatabaseError: the database failed.
    """
    using = router.db_for_write(WebhookMessage)
    states = list(WebhookEndpoint.states.using(using).values_list("active", "failures"))
    if not states:
        return Status(0, 0, 0, 0, 0)
    rows = WebhookMessage.objects.using(using).filter(endpoint__in=WebhookEndpoint.states.all())
    waiting = rows.filter(is_dead=False)
    overdue = waiting.filter(
        endpoint__active=True,
        endpoint__failures=0,
        next_attempt_at__lte=timezone.now() - OVERDUE,
    )
    return Status(
        endpoints=sum(active for active, _failures in states),
        failing=sum(active and failures > 0 for active, failures in states),
        waiting=waiting.aggregate(events=Sum("events"))["events"] or 0,
        given_up=rows.filter(is_dead=True).count(),
        overdue=overdue.count(),
    )
