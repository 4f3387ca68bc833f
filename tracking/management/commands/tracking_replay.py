"""``manage.py tracking_replay``: writes what was set aside, once more."""

from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, replay


class Command(SpoolCommand):
    """Writes what was set aside, once more."""

    help = _(
        "Write hits that were set aside, after you have fixed the cause. Hits that fail again "
        "are set aside again."
    )

    def work(self, folder: Path, progress: Any) -> DrainResult:
        """Replay what is in the folder."""
        return replay(folder, progress)
