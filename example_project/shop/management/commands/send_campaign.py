from django.conf import settings
from django.core.management.base import BaseCommand

from shop.campaign import send


class Command(BaseCommand):
    """Sends a campaign."""

    help = "Send a campaign to every subscriber. The mail goes into the outbox."

    def add_arguments(self, parser):
        """Add the options."""
        parser.add_argument("--campaign", default="spring-letter", help="Default: %(default)s.")

    def handle(self, *args, campaign: str, **options):
        """Send the campaign and print the number of messages."""
        sent = send(campaign)
        self.stdout.write(f"{sent} messages are in {settings.OUTBOX}.")
