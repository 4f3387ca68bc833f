"""``manage.py tracking_drain``: writes hits that dead processes left in the spool."""

from collections.abc import Callable
from pathlib import Path

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, drain


class Command(SpoolCommand):
    """Writes hits that dead processes left in the spool."""

    help = _(
        "Write hits that dead processes left in the spool. Files of running processes are skipped."
    )

    def write_hits(self, folder: Path, progress: Callable[[DrainResult], None]) -> DrainResult:
        """Write hits that dead processes left in the spool."""
        return drain(folder, progress)
