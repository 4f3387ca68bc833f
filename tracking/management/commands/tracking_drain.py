"""``manage.py tracking_drain``: writes hits that dead processes left in the spool."""

from pathlib import Path

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, Progress, drain


class Command(SpoolCommand):
    """Writes hits that dead processes left in the spool."""

    help = _(
        "Write hits that dead processes left in the spool. Files of running processes are skipped."
    )

    def write_hits(self, folder: Path, progress: Progress, *, from_any_site: bool) -> DrainResult:
        """Write hits that dead processes left in the spool."""
        return drain(folder, progress, from_any_site=from_any_site)
