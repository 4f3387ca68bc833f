"""``manage.py tracking_webhooks``: delivers webhooks that wait."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import router
from django.utils.translation import gettext as _

from tracking.management.output import print_figures
from tracking.models import WebhookMessage
from tracking.webhooks import claims, delivery


class Command(BaseCommand):
    """Delivers webhooks that wait."""

    help = _(
        "Deliver webhooks that wait now, where no thread of the servers does it "
        "(TRACKING_WEBHOOK_THREAD)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--replay",
            action="store_true",
            help=_("Send messages that were given up again, too."),
        )

    def handle(self, *args: Any, replay: bool, verbosity: int, **options: Any) -> None:
        """Deliver, and print how much."""
        figures: list[tuple[str, Any]] = []
        if replay:
            rows = WebhookMessage.objects.using(router.db_for_write(WebhookMessage))
            figures.append((_("sent again"), claims.replay(rows)))
        result = delivery.deliver_waiting()
        figures += [
            (_("messages delivered"), result.messages),
            (_("events in them"), result.events),
            (_("failed attempts"), result.failed),
        ]
        if verbosity > 0:
            print_figures(self, figures)
