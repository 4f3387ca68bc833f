"""Where the spool is, in words."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from tracking.pipeline.spool import folder_status, this_site
from tracking.pipeline.spool.location import (
    folders_of_other_users,
    former_folders,
    spool_location,
    vanishing_file_system,
)


def describe() -> str:
    """Return the folder of the spool, and why it is there."""
    location = spool_location()
    reason = _(location.reason)
    return f"{location.folder} ({reason})"


def hints() -> Iterator[str]:
    """Yield what somebody should know about the place of the spool.

    Raises:
        OSError: another folder with hits of this site cannot be read.
    """
    if kind := vanishing_file_system(spool_location().folder):
        yield (
            _(
                "The file system of the spool (%s) ends with the machine or the container. "
                "Set TRACKING_SPOOL to a folder that lasts."
            )
            % kind
        )
    for folder in former_folders():
        state = folder_status(folder, this_site())
        if state.waiting or state.rejected or state.sent:
            yield _("Hits wait in %s, too. tracking_drain writes them.") % folder
    for folder in folders_of_other_users():
        yield (
            _(
                "Another user of the system has a spool of this site: %s. Its figures are not "
                "among these; run this command as that user."
            )
            % folder
        )
