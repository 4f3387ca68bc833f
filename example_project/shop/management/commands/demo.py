from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from shop import campaign, stock

NAME, PASSWORD = "admin", "admin"


class Command(BaseCommand):
    help = "Set up the example shop, send a campaign, and serve it. Can be run again and again."

    def add_arguments(self, parser):
        parser.add_argument("--no-server", action="store_true", help="Set up, and stop there.")

    def handle(self, *args, no_server: bool, **options):
        call_command("migrate", verbosity=0)
        stock.fill()
        self._make_admin()
        sent = campaign.send("spring-sale")
        base_url = settings.TRACKING_BASE_URL
        lines = (
            ("Shop", f"{base_url}/"),
            ("Outbox", f"{base_url}/outbox/   {sent} messages; open one, follow its link"),
            ("Admin", f"{base_url}/admin/tracking/beacon/   name {NAME}, password {PASSWORD}"),
        )
        self.stdout.write("")
        for title, text in lines:
            self.stdout.write(f"  {title:<8}{text}")
        self.stdout.write("\n  Stop with Ctrl+C.\n\n")
        if not no_server:
            self.stdout.flush()
            call_command("runserver", f"127.0.0.1:{settings.PORT}", use_reloader=False)

    def _make_admin(self) -> None:
        users = get_user_model()._default_manager
        admin, _made = users.get_or_create(
            username=NAME, defaults={"is_staff": True, "is_superuser": True}
        )
        admin.set_password(PASSWORD)
        admin.save()
