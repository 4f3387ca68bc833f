from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from shop import campaign, places, sample_data, simulator
from tracking.models import Visit

NAME, PASSWORD = "admin", "admin"


class Command(BaseCommand):
    """Sets up and serves the example shop."""

    help = "Set up the example shop, send a campaign, and serve it. Safe to run again."

    # The checks would report the missing GeoIP database, which is built here. runserver runs them.
    requires_system_checks = []

    def add_arguments(self, parser):
        """Add the options."""
        parser.add_argument("--no-server", action="store_true", help="Only set up.")
        parser.add_argument(
            "--visitors",
            type=int,
            default=300,
            help="Simulated visitors of the last 24 hours (%(default)s); 0 simulates nobody.",
        )

    def handle(self, *args, no_server: bool, visitors: int, **options):
        """Set up the shop and serve it."""
        call_command("migrate", verbosity=0)
        sample_data.load()
        self._make_admin()
        self._build_places()
        sent = campaign.send("spring-sale")
        if no_server:
            self._print_urls(sent)
            return
        with self._visitors(visitors):
            self._print_urls(sent)
            call_command("runserver", f"127.0.0.1:{settings.PORT}", use_reloader=False)

    @contextmanager
    def _visitors(self, visitors: int):
        """Simulate a day unless there are visits already, then visitors in the background."""
        if not visitors:
            yield
            return
        with simulator.own_server() as address:
            if not Visit.objects.exists():
                self.stdout.write(f"\nSimulating a day with {visitors} visitors ...")
                self.stdout.flush()
                call_command(
                    "simulate_visitors",
                    visitors=visitors,
                    port=address[1],
                    stdout=self.stdout._out,
                )
            with simulator.background_visitors(address):
                yield

    def _print_urls(self, sent: int) -> None:
        base_url = settings.TRACKING_BASE_URL
        lines = (
            ("Shop", f"{base_url}/"),
            ("Live", f"{base_url}/live/   who is on the site now; log in first"),
            ("Map", f"{base_url}/admin/tracking/visitor/active/   where visitors are"),
            ("Outbox", f"{base_url}/outbox/   {sent} messages; open one and follow its link"),
            ("Admin", f"{base_url}/admin/tracking/beacon/   name {NAME}, password {PASSWORD}"),
        )
        self.stdout.write("")
        for title, text in lines:
            self.stdout.write(f"  {title:<8}{text}")
        self.stdout.write("\n  Stop with Ctrl+C.\n\n")
        self.stdout.flush()

    def _build_places(self) -> None:
        try:
            places.build(Path(settings.GEOIP_PATH))
        except ImportError:
            self.stderr.write("mmdb-writer is not installed: the demo shows no places.")

    def _make_admin(self) -> None:
        users = get_user_model()._default_manager
        admin, _made = users.get_or_create(
            username=NAME, defaults={"is_staff": True, "is_superuser": True}
        )
        admin.set_password(PASSWORD)
        admin.save()
