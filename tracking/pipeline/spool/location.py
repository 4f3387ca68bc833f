"""Where the folder of the spool is.

The first of these that the site has:

1. ``TRACKING_SPOOL``
2. a folder in ``$STATE_DIRECTORY``, which systemd sets for a service with ``StateDirectory=``
3. a folder beside the SQLite database
4. a folder below ``/var/tmp``, named after user and site

Without ``TRACKING_SPOOL``, hits may wait in another of these places: before the app was updated, or
the secret changed.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections, router
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_noop

from tracking.conf import conf
from tracking.models import Beacon

#: The name of the folder in a folder of the site.
NAME = "tracking-spool"

#: The system does not empty it when it starts, as it does ``/tmp`` (Filesystem Hierarchy Standard).
_VAR_TMP = Path("/var/tmp")  # noqa: S108 - the folder is checked before it is used

#: Characters of the hash in the name of a folder among temporary files.
_HASH_LENGTH = 12

_MOUNTS = Path("/proc/self/mountinfo")

#: File systems that end with the machine or the container.
_VANISHING = frozenset({"tmpfs", "ramfs", "overlay"})

#: In the paths of the folders that systemd deletes when it stops a service.
_PRIVATE = "/systemd-private-"


class Location(NamedTuple):
    """A place for the folder of the spool.

    Attributes:
        folder: the folder.
        reason: why it is there, in a few English words.
        is_temporary: whether it is among temporary files.
    """

    folder: Path
    reason: str
    is_temporary: bool = False


def spool_location() -> Location:
    """Return where the folder of the spool is, and why."""
    if conf.spool:
        return Location(Path(conf.spool), gettext_noop("by TRACKING_SPOOL"))
    return next(_default_locations())


def spool_folder() -> Path:
    """Return the folder of the spool."""
    return spool_location().folder


def former_folders() -> list[Path]:
    """Return other folders in which hits of this site may wait.

    None if ``TRACKING_SPOOL`` is set: then the site decides.
    """
    if conf.spool:
        return []
    chosen, *others = _default_locations()
    return [
        one.folder for one in others if one.folder != chosen.folder and os.path.lexists(one.folder)
    ]


def folders_of_other_users() -> list[Path]:
    """Return the spools of this site that processes of other users have made, by default."""
    if conf.spool:
        return []
    found = []
    own = f"-{os.geteuid()}-"
    for one in _default_locations():
        if one.is_temporary:
            pattern = one.folder.name.replace(own, "-*-")
            found += [path for path in one.folder.parent.glob(pattern) if path != one.folder]
    return sorted(set(found))


def vanishing_file_system(folder: Path) -> str:
    """Return the kind of file system of a folder that ends with machine, container or service.

    Args:
        folder: the folder, which need not exist yet.

    Returns:
        The kind, such as ``"tmpfs"``; ``""`` for a lasting one, or where the system does not say.
    """
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    mounts = dict(map(_mount, lines))
    place = folder.resolve()
    return next((mounts[one] for one in (place, *place.parents) if one in mounts), "")


def _mount(line: str) -> tuple[Path, str]:
    """Return the place and, if it vanishes, the kind of a mounted file system."""
    # ID, parent, device, root, place, options, optional fields, "-", kind (proc_pid_mountinfo(5)).
    before, _, after = line.partition(" - ")
    root, place = before.split()[3:5]
    if _PRIVATE in root:
        return Path(place), "PrivateTmp"
    kind = after.split()[0]
    return Path(place), kind if kind in _VANISHING else ""


def _default_locations() -> Iterator[Location]:
    # Several folders are separated by colons (systemd.exec, RuntimeDirectory=).
    if state := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        yield Location(Path(state) / NAME, gettext_noop("in $STATE_DIRECTORY"))
    if database := _sqlite_file():
        folder = database.with_name(f"{database.name}-spool")
        yield Location(folder, gettext_noop("beside the SQLite database"))
    temporary = list(dict.fromkeys([_VAR_TMP, _temporary_files()]))
    if not os.access(_VAR_TMP, os.W_OK | os.X_OK):
        temporary.reverse()
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if key:
            for folder in temporary:
                name = f"{NAME}-{os.geteuid()}-{_site_hash(key)}"
                yield Location(folder / name, gettext_noop("by default"), is_temporary=True)


def _temporary_files() -> Path:
    """Return the folder for temporary files, even if none can be written to now."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # a full disk, a container whose disk is read-only
        return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - see why_untrusted()


def _sqlite_file() -> Path | None:
    connection: Any = connections[router.db_for_write(Beacon)]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return None
    name = str(connection.settings_dict["NAME"])
    # Each release may have a folder of its own, with a link to the database.
    return None if name.startswith("file:") else Path(name).resolve()


def _site_hash(secret: str | bytes) -> str:
    database: Any = settings.DATABASES.get("default", {})
    names = [str(database.get(key, "")) for key in ("ENGINE", "HOST", "PORT", "NAME")]
    # The salt never changes: hits of an earlier version wait in the folder that it names.
    digest = salted_hmac("tracking.spool", "\0".join(names), secret=secret, algorithm="sha256")
    return digest.hexdigest()[:_HASH_LENGTH]
