import threading
from contextlib import nullcontext
from random import Random

from django.core.management.base import BaseCommand, CommandError

from shop import scenario, simulator


class Command(BaseCommand):
    """Simulates visitors of the shop."""

    help = "Simulate visitors of the shop: the last 24 hours in fast motion, or with --live now."

    def add_arguments(self, parser):
        """Add the options."""
        parser.add_argument(
            "--visitors", type=int, default=300, help="Visitors of the day (%(default)s)."
        )
        parser.add_argument("--live", action="store_true", help="Simulate in real time.")
        parser.add_argument(
            "--minutes", type=float, default=10, help="Duration of --live (%(default)s)."
        )
        parser.add_argument("--seed", type=int, default=1, help="Seed of the random numbers.")
        parser.add_argument(
            "--port", type=int, help="Port of a running shop. By default the command serves it."
        )

    def handle(self, *args, port: int | None, live: bool, **options):
        """Simulate a day, or visitors in real time."""
        try:
            with nullcontext(("127.0.0.1", port)) if port else simulator.own_server() as address:
                if live:
                    self._simulate_live(address, options["minutes"])
                else:
                    self._simulate_day(address, options["visitors"], options["seed"])
        except scenario.NoMailError:
            raise CommandError("There is no mail yet. Run send_campaign first.") from None
        except (OSError, simulator.ShopFailedError) as error:
            raise CommandError(str(error)) from error

    def _simulate_live(self, address: simulator.Address, minutes: float) -> None:
        visitors = scenario.Scenario(Random())
        self.stdout.write(f"Simulating visitors for {minutes:g} minutes. Stop with Ctrl+C.")
        try:
            simulator.simulate_live(address, visitors, threading.Event(), 60 * minutes)
        except KeyboardInterrupt:
            self.stdout.write("")

    def _simulate_day(self, address: simulator.Address, visitors: int, seed: int) -> None:
        summary = simulator.simulate_day(address, visitors, seed, self._progress)
        self.stdout.write(
            f"Simulated {visitors} visitors with {summary.requests} requests over the last "
            f"24 hours, in {summary.seconds:.1f} seconds."
        )

    def _progress(self, share: float) -> None:
        # Only in a terminal: a file would get every step.
        if self.stdout.isatty():
            self.stdout.write(f"  {share:4.0%}", ending="\r")
            self.stdout.flush()
