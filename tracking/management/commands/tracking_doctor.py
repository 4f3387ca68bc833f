"""``manage.py tracking_doctor``: what is wrong, and how an address is found."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from tracking import client
from tracking.conf import conf


class Command(BaseCommand):
    """Shows how the client's address of a request is derived."""

    help = _(
        "Show how the address of a client is found, hop by hop, for a connection and the "
        "header of its proxies. The system checks run first."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what tells of the request."""
        parser.add_argument(
            "--remote-addr",
            required=True,
            help=_("The peer of the connection (REMOTE_ADDR); '' for a unix socket."),
        )
        parser.add_argument(
            "--header",
            default="",
            help=_("What the header of TRACKING_PROXY_HEADER says, as it reaches the site."),
        )

    def handle(self, *args: Any, remote_addr: str, header: str, **options: Any) -> None:
        """Print one line for each hop, and the result."""
        if remote_addr and client.normalise(remote_addr) is None:
            raise CommandError(_("%r is no address.") % remote_addr)
        known = None
        for number, hop in enumerate(client.hops(remote_addr, header)):
            known = hop.address or known
            place = _("connection") if number == 0 else f"{conf.proxy_header} {-number}"
            self.stdout.write(f"  {place:<20}{hop.text or '-':<42}{self._verdict(hop)}")
        self.stdout.write(_("The client is %s.") % (known or _("unknown")))

    def _verdict(self, hop: client.Hop) -> str:
        if hop.trusted:
            return _("a proxy of this site: believed")
        if hop.address is None:
            return _("no address: the one before it is the last that is certain")
        return _("not a proxy of this site: the client")
