"""``manage.py tracking_drain``: writes what dead processes have left in the spool."""

from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, drain


class Command(SpoolCommand):
    """Writes what dead processes have left in the spool."""

    help = _(
        "Write hits that dead processes left in the spool. Files of running processes are skipped."
    )

    def work(self, folder: Path, progress: Any) -> DrainResult:
        """Drain the folder."""
        return drain(folder, progress)
