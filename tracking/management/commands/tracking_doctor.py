"""``manage.py tracking_doctor``: problems, waiting hits, and how a client address is found."""

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, router
from django.utils.translation import gettext as _

from tracking import client_address, health
from tracking.backends import automatic
from tracking.backends.handler import get_server_backend
from tracking.caching import snapshots
from tracking.conf import conf
from tracking.identity import new_visitors
from tracking.management.output import grouped, print_figures
from tracking.models import Beacon
from tracking.recording import provider_events
from tracking.reports import formatting
from tracking.webhooks import status as webhook_status


class Command(BaseCommand):
    """Shows the state of recording, or how a client address is determined."""

    help = _(
        "Run the system checks and show the state of recording. With --remote-addr, show "
        "instead how the client address of a connection is determined, hop by hop."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
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
        """Print a line for each figure or hop, and the result."""
        if remote_addr is None:
            self._show_recording()
        else:
            self._show_hops(remote_addr, header)

    def _show_recording(self) -> None:
        backend = get_server_backend()
        snapshots.refresh()  # does the database answer?
        problems, figures = health.report(backend)
        backend_label = _("backend")  # outside the f-string, where makemessages finds no texts
        self.stdout.write(f"  {backend_label:<24}{conf.backend or _chosen_backends()}")
        hints = list(_hints(figures))
        if backend.spooler is not None:
            hints += self._show_spool(figures)
        shown = _shown(figures)
        problems = [_(problem) for problem in problems]
        try:
            webhooks = webhook_status.read()
            shown += [*_not_stored(), *_provider_events(), *_webhook_figures(webhooks)]
        except DatabaseError as error:
            problems.append(_("the database cannot be read: %s") % error)
        else:
            problems += [_(problem) for problem in webhooks.problems()]
        print_figures(self, shown)
        for hint in hints:
            self.stdout.write(hint)
        for problem in problems:
            self.stdout.write(_("Problem: %s.") % problem)
        if not problems:
            self.stdout.write(_("No problems found."))
        self._hint_at_uvloop()

    def _show_spool(self, figures: Mapping[str, Any]) -> list[str]:
        """Print where the spool is and who writes from it, and return hints."""
        # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
        from tracking.management import spool_location  # noqa: PLC0415

        spool_label, written_by = _("spool"), _("written by")
        self.stdout.write(f"  {spool_label:<24}{spool_location.describe()}")
        if "writer" in figures:
            self.stdout.write(f"  {written_by:<24}{_describe_writer(figures)}")
        return list(spool_location.hints())

    def _hint_at_uvloop(self) -> None:
        if find_spec("uvicorn") and not find_spec("uvloop"):
            self.stderr.write(
                _(
                    "Install uvloop: without it, uvicorn with several workers delays each response "
                    "on a kept connection by about 40 milliseconds (no TCP_NODELAY)."
                )
            )

    def _show_hops(self, remote_addr: str, header: str) -> None:
        if remote_addr and client_address.normalise(remote_addr) is None:
            raise CommandError(_("%r is not an IP address.") % remote_addr)
        known = None
        for number, hop in enumerate(client_address.hops(remote_addr, header)):
            known = hop.address or known
            place = _("connection") if number == 0 else f"{conf.proxy_header} {-number}"
            self.stdout.write(f"  {place:<20}{hop.text or '-':<42}{self._verdict(hop)}")
        self.stdout.write(_("The client is %s.") % (known or _("unknown")))
        if header and "-" in conf.proxy_header:
            self.stderr.write(
                _("Let your proxy drop headers with underscores: some WSGI servers take %s for it.")
                % conf.proxy_header.replace("-", "_")
            )

    def _verdict(self, hop: client_address.Hop) -> str:
        if hop.trusted:
            return _("a trusted proxy of this site")
        if hop.address is None:
            return _("not an address: the previous hop is the client")
        return _("not a proxy of this site: this is the client")


def _chosen_backends() -> str:
    """Return the backends that are chosen where the settings name none, and why."""
    obstacle = automatic.find_obstacle()
    if obstacle is None:
        return _("BufferedBackend in servers, ImmediateBackend elsewhere (by default)")
    reason = " ".join(filter(None, [_(obstacle.reason), obstacle.detail]))
    return _("ImmediateBackend (by default: %s)") % reason


def _shown(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    names = {
        "waiting": _("hits waiting"),
        "lag": _("oldest hit, seconds"),
        "files": _("spool files"),
        "left_behind": _("files of dead processes"),
        "size": _("bytes"),
        "rejected": _("hits set aside"),
        "sent": _("batches in flight"),
        "unreadable": _("unreadable files"),
        "other_sites": _("files of other sites"),
    }
    shown = [(name, figures[key]) for key, name in names.items() if key in figures]
    if not figures.get("is_complete", True):
        more_than = _("more than %s")
        shown = [(name, more_than % grouped(figure)) for name, figure in shown]
    if "refresh_age" in figures:
        shown.append((_("last refresh, seconds"), figures["refresh_age"]))
    return shown


def _webhook_figures(status: webhook_status.Status) -> list[tuple[str, Any]]:
    if not status.endpoints:
        return []
    return [
        (_("webhook events waiting"), status.waiting),
        (_("webhook messages given up"), status.given_up),
    ]


def _not_stored() -> Iterator[tuple[str, Any]]:
    """Yield how many pages of new visitors were not stored."""
    not_stored = sum(new_visitors.not_stored_by_day().values())
    if not_stored or conf.new_visitors_per_network is not None:
        yield _("pages not stored, 7 days"), not_stored


def _provider_events() -> Iterator[tuple[str, Any]]:
    """Yield when the last event of a mail provider came, and how many match no message."""
    if not provider_events.is_in_use():
        return
    state = provider_events.event_state(router.db_for_write(Beacon))
    yield (
        _("last provider event"),
        _("never") if state.last is None else formatting.time(state.last),
    )
    if state.waiting:
        yield _("provider events waiting"), state.waiting
    if state.unmatched:
        yield _("provider events unmatched"), state.unmatched


def _describe_writer(figures: Mapping[str, Any]) -> str:
    writer = figures.get("writer_process")
    if writer is None:
        return _("a thread of each process")
    values = {"pid": writer.pid, "host": writer.host, "age": f"{writer.age:.1f}"}
    if writer.is_silent:
        text = _(
            "a thread of each process: the writer, process %(pid)s on %(host)s, is silent for "
            "%(age)s seconds"
        )
    elif writer.is_child:
        text = _(
            "process %(pid)s on %(host)s, started by a web process; sign of life %(age)s "
            "seconds ago"
        )
    else:
        text = _("process %(pid)s on %(host)s (tracking_writer); sign of life %(age)s seconds ago")
    return text % values


def _hints(figures: Mapping[str, Any]) -> Iterator[str]:
    if figures.get("unreadable"):
        yield _("tracking_replay writes the hits that it finds in unreadable files.")
    if figures.get("other_sites"):
        yield _("Other sites use the same folder. Give each site a TRACKING_SPOOL of its own.")
