"""``manage.py tracking_writer``: writes the hits of all processes that use the same spool."""

import time
from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from tracking.backends import automatic
from tracking.backends.handler import get_server_backend
from tracking.conf import conf

if TYPE_CHECKING:
    from tracking.pipeline.spool.writer_lock import WriterLock


class Command(BaseCommand):
    """Writes the hits of all processes that use the same spool, until it is stopped."""

    help = _(
        "Write the hits of all processes that use the same spool, until SIGTERM. While it is at "
        "work, web processes only append to the spool."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--until-unused",
            action="store_true",
            help=_("End when no process of the site records any more."),
        )
        # The open file of the lock, which the parent of this process has taken for it.
        parser.add_argument("--lock", type=int, default=None, help=SUPPRESS)

    def handle(
        self, *args: Any, until_unused: bool, lock: int | None, verbosity: int, **options: Any
    ) -> None:
        """Write until a signal arrives."""
        # Imported only where it runs: it needs fcntl, which Windows lacks.
        from tracking.backends.buffered import BufferedBackend  # noqa: PLC0415
        from tracking.backends.writer_child import release_digest  # noqa: PLC0415
        from tracking.backends.writer_process import WriterProcess  # noqa: PLC0415

        backend = get_server_backend().spooler
        if not isinstance(backend, BufferedBackend) or not backend.leaves_to_writer:
            raise CommandError(
                _("%s keeps no hits in a spool: there is nothing to write.")
                % (conf.backend or automatic.IMMEDIATE)
            )
        folder = backend.spool.folder
        try:
            with _take_lock(folder, lock) as taken:
                taken.describe(is_child=lock is not None, release=release_digest())
                if verbosity > 0:
                    self.stdout.write(_("Writing hits from %s.") % folder)
                    self.stdout.flush()
                WriterProcess(backend, taken, ends_unused=until_unused).run()
        except OSError as error:
            raise CommandError(
                _("%(folder)s: %(error)s") % {"folder": folder, "error": error}
            ) from error


def _take_lock(folder: Path, descriptor: int | None) -> "WriterLock":
    from tracking.pipeline.spool import this_site  # noqa: PLC0415
    from tracking.pipeline.spool.writer_lock import IsTaken, WriterLock  # noqa: PLC0415

    try:
        if descriptor is not None:
            return WriterLock.inherit(folder, this_site(), descriptor)
        return WriterLock.take(folder, this_site())
    except IsTaken as taken:
        message = _(
            "Another writer is at work in %(folder)s: process %(pid)s on %(host)s, since %(since)s."
        )
        writer = taken.state
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(writer.since))
        raise CommandError(
            message % {"folder": folder, "pid": writer.pid, "host": writer.host, "since": since}
        ) from None
