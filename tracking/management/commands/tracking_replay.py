"""``manage.py tracking_replay``: writes hits that were set aside, once more."""

from pathlib import Path

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, Progress, replay


class Command(SpoolCommand):
    """Writes hits that were set aside, once more."""

    help = _(
        "Write hits that were set aside, after you have fixed the cause, and those in files that "
        "cannot be read. Hits that fail again are set aside again."
    )

    def write_hits(self, folder: Path, progress: Progress, *, from_any_site: bool) -> DrainResult:
        """Write hits that were set aside, once more."""
        return replay(folder, progress, from_any_site=from_any_site)
