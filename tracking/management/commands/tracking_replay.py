"""``manage.py tracking_replay``: writes hits that were set aside, once more."""

from collections.abc import Callable
from pathlib import Path

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, replay


class Command(SpoolCommand):
    """Writes hits that were set aside, once more."""

    help = _(
        "Write hits that were set aside, after you have fixed the cause. Hits that fail again "
        "are set aside again."
    )

    def write_hits(self, folder: Path, progress: Callable[[DrainResult], None]) -> DrainResult:
        """Write hits that were set aside, once more."""
        return replay(folder, progress)
