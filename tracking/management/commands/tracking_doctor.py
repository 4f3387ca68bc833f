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
        "Show how the recording is doing. With --remote-addr, show how the address of a client "
        "is found instead, hop by hop, for a connection and the header of its proxies. The "
        "system checks run first."
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
            help=_("What the header of TRACKING_PROXY_HEADER says, as it reaches the site."),
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
            "lag": _("oldest, seconds"),
            "files": _("files with them"),
            "left_behind": _("left behind"),
            "size": _("bytes"),
            "rejected": _("hits set aside"),
            "sent": _("batches on their way"),
        }
        figures_of_all = [(name, figures[key]) for key, name in names.items() if key in figures]
        print_figures(self, figures_of_all)
        for problem in problems:
            self.stdout.write(_("Wrong: %s.") % _(problem))
        if not problems:
            self.stdout.write(_("All is well."))

    def _show_hops(self, remote_addr: str, header: str) -> None:
        if remote_addr and client_address.normalise(remote_addr) is None:
            raise CommandError(_("%r is no address.") % remote_addr)
        known = None
        for number, hop in enumerate(client_address.hops(remote_addr, header)):
            known = hop.address or known
            place = _("connection") if number == 0 else f"{conf.proxy_header} {-number}"
            self.stdout.write(f"  {place:<20}{hop.text or '-':<42}{self._verdict(hop)}")
        self.stdout.write(_("The client is %s.") % (known or _("unknown")))

    def _verdict(self, hop: client_address.Hop) -> str:
        if hop.trusted:
            return _("a proxy of this site: believed")
        if hop.address is None:
            return _("no address: the one before it is the last that is certain")
        return _("not a proxy of this site: the client")
