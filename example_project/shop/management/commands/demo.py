import socket
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils import timezone

from shop import campaign, history, outbox, places, sample_data, simulator
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
            default=110,
            help="Simulated visitors of the last 24 hours (%(default)s); 0 simulates nobody.",
        )

    def handle(self, *args, no_server: bool, visitors: int, **options):
        """Set up the shop and serve it."""
        if not no_server:
            self._check_port()
        call_command("migrate", verbosity=0)
        sample_data.load()
        self._make_admin()
        self._build_places()
        self._send()
        if no_server:
            self._print_urls()
            return
        with self._visitors(visitors):
            self._print_urls()
            call_command("runserver", f"127.0.0.1:{settings.PORT}", use_reloader=False)

    def _check_port(self) -> None:
        """Say now that the port is taken, and not after minutes."""
        with closing(socket.socket()) as port:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as runserver does
            try:
                port.bind(("127.0.0.1", int(settings.PORT)))
            except OSError:
                raise CommandError(
                    f"Port {settings.PORT} is in use. Choose another one: "
                    f"PORT={int(settings.PORT) + 1} make demo"
                ) from None

    def _send(self) -> None:
        """Send the spring letter, unless its messages are in the outbox."""
        if not any(outbox.messages()):
            campaign.send()

    @contextmanager
    def _visitors(self, visitors: int):
        """Simulate two months unless there are visits already, then visitors in the background."""
        if not visitors:
            yield
            return
        with simulator.own_server() as address:
            if not Visit.objects.exists():
                self._simulate_past(visitors, address[1])
            with simulator.background_visitors(address):
                yield

    def _simulate_past(self, visitors: int, port: int) -> None:
        self.stdout.write("\nWriting two months of history ...")
        self.stdout.flush()
        day_ago = timezone.now() - timedelta(days=1)
        history.write_history(day_ago)
        self.stdout.write(f"Simulating a day with {visitors} visitors ...")
        self.stdout.flush()
        call_command("simulate_visitors", visitors=visitors, port=port, stdout=self.stdout._out)
        history.write_purchases(day_ago)

    def _print_urls(self) -> None:
        mailing, _other = campaign.sources()
        report = reverse("admin:tracking_report", args=[mailing._meta.label_lower, mailing.pk])
        messages = sum(1 for _ in outbox.messages())
        lines = (
            ("Overview", reverse("admin:tracking_overview"), "the site and its mailings"),
            ("Mailing", report, "who opened and clicked"),
            ("Map", reverse("admin:tracking_visitor_active"), "where visitors are now"),
            ("Outbox", reverse("outbox"), f"{messages} messages; open one and follow its link"),
            ("Live", reverse("live"), "who is on the site now"),
            ("Shop", reverse("home"), "the pages of the shop"),
            ("Admin", reverse("admin:index"), f"log in as {NAME}, password {PASSWORD}"),
        )
        self.stdout.write("")
        for title, path, text in lines:
            self.stdout.write(f"  {title:<10}{settings.TRACKING_BASE_URL}{path}   {text}")
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
