"""``manage.py tracking_doctor``: what is wrong, what is waiting, and how an address is found."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from tracking import client_address, health
from tracking.backends import get_backend
from tracking.conf import conf
from tracking.management.spool_command import print_figures


class Command(BaseCommand):
    """Shows how the recording is doing, or how the client's address of a request is derived."""

    help = _(
        "Run the system checks and show the state of recording. With --remote-addr, show "
        "instead how the client address of a connection is determined, hop by hop."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what tells of the request."""
        parser.add_argument(
            "--remote-addr",
            default=None,
            help=_("The peer of the connection (REMOTE_ADDR); '' for a unix socket."),
        )
        parser.add_argument(
            "--header",
            default="",
            help=_(
                "The value of the header named by TRACKING_PROXY_HEADER, as the site receives it."
            ),
        )

    def handle(self, *args: Any, remote_addr: str | None, header: str, **options: Any) -> None:
        """Print one line for each figure or hop, and the result."""
        if remote_addr is None:
            self._show_recording()
        else:
            self._show_hops(remote_addr, header)

    def _show_recording(self) -> None:
        backend = get_backend()
        problems, figures = health.report(backend)
        # Not within the f-string: what collects the texts to be translated looks past those.
        name_of_backend, name_of_spool = _("backend"), _("spool")
        self.stdout.write(f"  {name_of_backend:<24}{conf.backend}")
        if spool := getattr(backend, "spool", None):
            self.stdout.write(f"  {name_of_spool:<24}{spool.folder}")
        names = {
            "waiting": _("hits waiting"),
            "lag": _("oldest hit, seconds"),
            "files": _("spool files"),
            "left_behind": _("files of dead processes"),
            "size": _("bytes"),
            "rejected": _("hits set aside"),
            "sent": _("batches in flight"),
        }
        figures_of_all = [(name, figures[key]) for key, name in names.items() if key in figures]
        print_figures(self, figures_of_all)
        for problem in problems:
            self.stdout.write(_("Problem: %s.") % _(problem))
        if not problems:
            self.stdout.write(_("No problems found."))

    def _show_hops(self, remote_addr: str, header: str) -> None:
        if remote_addr and client_address.normalise(remote_addr) is None:
            raise CommandError(_("%r is not an IP address.") % remote_addr)
        known = None
        for number, hop in enumerate(client_address.hops(remote_addr, header)):
            known = hop.address or known
            place = _("connection") if number == 0 else f"{conf.proxy_header} {-number}"
            self.stdout.write(f"  {place:<20}{hop.text or '-':<42}{self._verdict(hop)}")
        self.stdout.write(_("The client is %s.") % (known or _("unknown")))

    def _verdict(self, hop: client_address.Hop) -> str:
        if hop.trusted:
            return _("a trusted proxy of this site")
        if hop.address is None:
            return _("not an address: the previous hop is the client")
        return _("not a proxy of this site: this is the client")
