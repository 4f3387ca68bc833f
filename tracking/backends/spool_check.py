"""The system check of the folder of the spool."""

from pathlib import Path

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004

from tracking.pipeline.spool import folder_status, this_site
from tracking.pipeline.spool.folder import why_unusable


def check_spool(folder: Path) -> list[CheckMessage]:
    """E017: hits cannot be saved in the folder. W016: it holds hits of another site.

    Args:
        folder: the folder of the spool.
    """
    if reason := why_unusable(folder):
        return [
            Error(
                f"TRACKING_SPOOL: {folder} {reason}.",
                hint="Use a folder on a local disk with free space that only the site's own user "
                "can write to.",
                id="tracking.E017",
            )
        ]
    if folder_status(folder, this_site()).other_sites:
        return [
            Warning(
                f"TRACKING_SPOOL: {folder} holds hits of another site, which are left to it.",
                hint="Give each site a folder of its own. If they are hits of this site, from "
                "before its secret and its database changed: tracking_drain --any-site.",
                id="tracking.W016",
            )
        ]
    return []
