"""The folder of the spool: where it is, whether it is safe to use, which files it holds."""

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from tracking.conf import conf
from tracking.pipeline.spool.segments import SUFFIX

#: Characters of the hash in the name of the default folder.
_HASH_LENGTH = 12


def spool_folder() -> Path:
    """Return the folder of the spool: ``TRACKING_SPOOL``, else one below the temporary files.

    The name of the default folder contains the user id, and a hash of the secret key and the
    database, so that two sites on one machine do not write each other's hits.
    """
    if conf.spool:
        return Path(conf.spool)
    database: Any = settings.DATABASES.get("default", {})
    names = [str(database.get(key, "")) for key in ("ENGINE", "HOST", "PORT", "NAME")]
    # The salt never changes: hits of an earlier version wait in the folder that it names.
    digest = salted_hmac("tracking.spool", "\0".join(names), algorithm="sha256")
    site = digest.hexdigest()[:_HASH_LENGTH]
    return Path(tempfile.gettempdir()) / f"tracking-spool-{os.geteuid()}-{site}"


def make_folder(folder: Path) -> None:
    """Make the folder, readable for its owner only, unless it exists.

    Raises:
        OSError: it cannot be made, or is not safe to use.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if reason := why_untrusted(folder):
        raise PermissionError(f"{folder} {reason}")


def why_untrusted(folder: Path) -> str:
    """Return why an existing folder is not safe to use, or ``""``.

    Any user of the machine can make a folder below the temporary files before the site does.

    Raises:
        OSError: the folder cannot be examined.
    """
    status = os.lstat(folder)
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        return "is not a folder"
    if stat.S_ISLNK(status.st_mode) and not conf.spool:
        return "is a symbolic link"
    status = os.stat(folder)
    if status.st_mode & stat.S_IWOTH:
        return "can be written by all users"
    if os.geteuid() not in {0, status.st_uid} and status.st_uid != 0:
        return "belongs to another user"
    return ""


def write_whole(folder: Path, name: str, text: str) -> Path:
    """Write a file that appears with all of its content or not at all, and return its path.

    A process that dies meanwhile leaves a file ``*.draft``.

    Args:
        folder: a folder inside that of the spool; it is made if necessary.
        name: the name of the file.
        text: the content.

    Raises:
        OSError: the file cannot be written.
    """
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f"{secrets.token_hex(8)}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return draft.rename(folder / name)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def segment_paths(folder: Path) -> list[Path]:
    """Return the files with hits, oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    with suppress(FileNotFoundError):  # no hit was ever spooled
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # written and removed meanwhile
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]
