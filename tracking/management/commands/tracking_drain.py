"""``manage.py tracking_drain``: writes hits that dead processes left in the spool."""

from pathlib import Path

from django.utils.translation import gettext as _

from tracking.management.spool_command import SpoolCommand
from tracking.pipeline.drain import DrainResult, Progress, drain
from tracking.recording.recent_clicks import recent_clicks
from tracking.verdicts.recent import correct_recent


class Command(SpoolCommand):
    """Writes hits that dead processes left in the spool."""

    help = _(
        "Write hits that dead processes left in the spool. Files of running processes are skipped."
    )

    def write_hits(self, folder: Path, progress: Progress, *, from_any_site: bool) -> DrainResult:
        """Write hits that dead processes left in the spool."""
        result = drain(folder, progress, from_any_site=from_any_site)
        if recent_clicks.since is not None:
            correct_recent()
        return result
