import threading
from contextlib import nullcontext
from random import Random

from django.core.management.base import BaseCommand, CommandError

from shop import day, player


class Command(BaseCommand):
    help = "Play visitors of the shop: the day before now, played fast, or with --live from now on."

    def add_arguments(self, parser):
        parser.add_argument(
            "--visitors", type=int, default=300, help="How many come on the day (%(default)s)."
        )
        parser.add_argument("--live", action="store_true", help="Play on as time goes by.")
        parser.add_argument(
            "--minutes", type=float, default=10, help="For how long (%(default)s); with --live."
        )
        parser.add_argument("--seed", type=int, default=1, help="What chance begins with.")
        parser.add_argument(
            "--port", type=int, help="Where the shop is served; by default by the command itself."
        )

    def handle(self, *args, port: int | None, live: bool, **options):
        try:
            with nullcontext(("127.0.0.1", port)) if port else player.front_door() as address:
                if live:
                    self._live(address, options["minutes"])
                else:
                    self._play_day(address, options["visitors"], options["seed"])
        except day.NoLettersError:
            raise CommandError("There is no mail yet; run send_campaign.") from None
        except (OSError, player.ShopFailedError) as error:
            raise CommandError(str(error)) from error

    def _live(self, address: player.Address, minutes: float) -> None:
        cast = day.Cast(Random())
        self.stdout.write(f"Visitors come for {minutes:g} minutes. Stop with Ctrl+C.")
        try:
            player.live(address, cast, threading.Event(), 60 * minutes)
        except KeyboardInterrupt:
            self.stdout.write("")

    def _play_day(self, address: player.Address, visitors: int, seed: int) -> None:
        figures = player.play_day(address, visitors, seed, self._progress)
        self.stdout.write(
            f"{visitors} visitors and {figures.requests} requests, played in "
            f"{figures.seconds:.1f} seconds and spread over the last 24 hours."
        )

    def _progress(self, share: float) -> None:
        # A line that counts is for people, and not for files.
        if self.stdout.isatty():
            self.stdout.write(f"  {share:4.0%}", ending="\r")
            self.stdout.flush()
