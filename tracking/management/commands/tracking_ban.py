"""``manage.py tracking_ban``: bans addresses and networks."""

import io
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tracking import bans
from tracking.bans import bulk_ban, import_export, list_encodings
from tracking.bans.bulk_ban import BanEntry
from tracking.bans.expiry import parse_expiry
from tracking.bans.import_export import InvalidLine
from tracking.bans.list_formats import READABLE_FORMS
from tracking.db.chunks import read_in_chunks
from tracking.management.output import grouped
from tracking.models import BannedIP


class Command(BaseCommand):
    """Bans networks, lifts bans, and lists, imports or exports them."""

    help = _("Ban addresses and networks, lift bans, and list, import or export them.")

    #: Lines between two progress messages of an import.
    PROGRESS = 50_000
    #: Most lines with errors that are shown.
    MAX_FLAWS = 20

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "networks",
            nargs="*",
            metavar="NETWORK",
            help=_("An IP address, or a network such as 192.0.2.0/24 or 2001:db8::/32."),
        )
        doing = parser.add_mutually_exclusive_group()
        doing.add_argument(
            "--remove", action="store_true", help=_("Lift the bans of the networks.")
        )
        doing.add_argument("--list", action="store_true", help=_("List all bans."))
        doing.add_argument(
            "--import",
            dest="source",
            metavar="FILE",
            help=_(
                "Import bans from a file: one network per line, or CSV; - reads from standard "
                "input."
            ),
        )
        doing.add_argument(
            "--export",
            dest="target",
            nargs="?",
            const="-",
            metavar="FILE",
            help=_("Export all bans as CSV; to standard output by default."),
        )
        parser.add_argument(
            "--reason",
            default="",
            help=_(
                "The reason for the ban. With --import, reason and expiry apply to lines "
                "without their own."
            ),
        )
        expiry = parser.add_mutually_exclusive_group()
        expiry.add_argument("--hours", type=float, help=_("Hours until the ban expires."))
        expiry.add_argument("--days", type=float, help=_("Days until the ban expires."))
        expiry.add_argument(
            "--until", metavar="TIME", help=_("When the ban expires, such as 2026-12-31T18:00.")
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help=_("Ban even proxies of this site, or every address."),
        )

    def handle(
        self, *, networks: list[str], source: str | None, target: str | None, **options: Any
    ) -> None:
        """Do the one thing that the options ask for."""
        takes_networks = not (source or target or options["list"])
        if takes_networks != bool(networks):
            raise CommandError(
                _("Name at least one network.")
                if takes_networks
                else _("This option takes no networks.")
            )
        try:
            if options["list"]:
                self._list()
            elif source:
                expires_at = _expiry(**options)
                self._import(source, options["reason"], expires_at, force=options["force"])
            elif target:
                self._export(target)
            elif options["remove"]:
                self._remove(networks)
            else:
                self._ban(networks, options["reason"], _expiry(**options), force=options["force"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from error

    def _ban(
        self, networks: list[str], reason: str, expires_at: datetime | None, *, force: bool
    ) -> None:
        for (
            network
        ) in networks:  # all or nothing: a typing error must not leave half of the list banned
            BannedIP(network=network, reason=reason, expires_at=expires_at).clean_fields()
            if (found := bans.find_objections(network, own_address=None)) and not force:
                raise CommandError(_("%s is not banned.") % network + " " + " ".join(found))
        if not force:
            _refuse_wide_coverage(networks)
        hit = bans.count_affected_by_network(networks)
        for network in networks:
            banned = bans.ban(network, reason, expires_at)
            line = ngettext(
                "Banned %(network)s: affects %(count)s current visitor.",
                "Banned %(network)s: affects %(count)s current visitors.",
                hit[network],
            )
            self.stdout.write(line % {"network": banned, "count": grouped(hit[network])})

    def _remove(self, networks: list[str]) -> None:
        for network in networks:
            removed = bans.unban([network])
            wider = ", ".join(bans.bans_covering(network))
            if not removed and wider:
                raise CommandError(
                    _("%(network)s has no ban of its own. It is blocked by: %(bans)s")
                    % {"network": network, "bans": wider}
                )
            if not removed:
                raise CommandError(_("%s is not banned.") % network)
            line = _("%(network)s is no longer banned.")
            if wider:
                line = _("The ban of %(network)s is lifted, but it is still blocked by: %(bans)s")
            self.stdout.write(line % {"network": network, "bans": wider})

    def _list(self) -> None:
        now = timezone.now()
        columns = ("network", "created_at", "expiry", "reason")
        for network, created_at, expires_at, reason in read_in_chunks(
            BannedIP.objects.with_readable_expiry(), *columns
        ):
            ends = _("never")
            if expires_at is not None:
                ends = _("expired") if expires_at <= now else _minute(expires_at)
            self.stdout.write(
                f"{network:<43}  {_minute(created_at)}  {ends:<16}  {reason}".rstrip()
            )

    def _import(
        self, source: str, reason: str, expires_at: datetime | None, *, force: bool
    ) -> None:
        BannedIP(reason=reason, expires_at=expires_at).clean_fields(exclude=["network"])
        flaws: list[InvalidLine] = []
        entries = [
            entry._replace(reason=entry.reason or reason, expires_at=entry.expires_at or expires_at)
            for entry in self._entries(_read(source), flaws, force=force)
        ]
        if not force:
            _refuse_wide_coverage(entry.network for entry in entries)
        added = bulk_ban.ban_all(entries)
        for flaw in flaws[: self.MAX_FLAWS]:
            self.stderr.write(_("Line %(line)d: %(text)s: %(why)s") % flaw._asdict())
        if flaws:
            self.stderr.write(str(READABLE_FORMS))
        counts = {
            "new": grouped(len(added.new)),
            "known": grouped(len(added.updated)),
            "flaws": grouped(len(flaws)),
        }
        line = _("%(new)s new bans, %(known)s existing bans, %(flaws)s lines skipped.") % counts
        if not entries:
            raise CommandError(line)
        self.stdout.write(line)

    def _entries(self, text: str, flaws: list[InvalidLine], *, force: bool) -> Iterator[BanEntry]:
        """Yield valid bans; add the other lines to ``flaws``."""
        for count, found in enumerate(import_export.parse_lines(text), start=1):
            if count % self.PROGRESS == 0:
                self.stderr.write(_("%s lines ...") % grouped(count))
            if isinstance(found, InvalidLine):
                flaws.append(found)
            elif found.is_expired:
                why = _("The expiry is in the past.")
                flaws.append(InvalidLine(found.line, found.network, why))
            elif (
                why := ""
                if force
                else " ".join(bans.find_objections(found.network, own_address=None))
            ):
                flaws.append(InvalidLine(found.line, found.network, why))
            else:
                yield found

    def _export(self, target: str) -> None:
        lines = import_export.export_bans(BannedIP.objects.all())
        if target == "-":
            for line in lines:
                self.stdout.write(line, ending="")
            return
        with open(target, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)


def _expiry(
    hours: float | None, days: float | None, until: str | None, **_options: Any
) -> datetime | None:
    """Return when the bans expire.

    Raises:
        CommandError: the time is invalid or in the past.
    """
    now = timezone.now()
    try:
        ends = parse_expiry(until or "")
        if hours is not None or days is not None:
            ends = now + timedelta(hours=hours or 0, days=days or 0)
    except (ValueError, OverflowError) as error:
        raise CommandError(_("This is not a valid time.")) from error
    if ends is not None and ends <= now:
        raise CommandError(_("The expiry is in the past."))
    return ends


def _refuse_wide_coverage(networks: Iterable[str]) -> None:
    """Check that networks do not cover a large part of the Internet together.

    Raises:
        CommandError: they do.
    """
    if found := bans.find_wide_coverage(networks):
        raise CommandError(" ".join([*found, _("Nothing was banned.")]))


def _read(source: str) -> str:
    """Return the text of a file, or of standard input for ``-``.

    Raises:
        CommandError: it is not text.
        OSError: it cannot be read.
    """
    try:
        if source != "-":
            return list_encodings.decode_list(Path(source).read_bytes())
        if isinstance(sys.stdin, io.TextIOWrapper):
            return list_encodings.decode_list(sys.stdin.buffer.read())
    except list_encodings.UnreadableFileError as error:
        raise CommandError(f"{error} {READABLE_FORMS}") from error
    return sys.stdin.read()


def _minute(moment: datetime) -> str:
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{local:%Y-%m-%d %H:%M}"
