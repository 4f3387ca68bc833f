"""The folder of the spool: whether it can be used, which files it holds."""

import os
import random
import secrets
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tracking.conf import conf
from tracking.pipeline.spool.segments import DRAFT, SUFFIXES

#: Files with hits that are looked at in one search.
MAX_FILES = 1_000

#: Bytes that a folder must take to be of use.
_PROBE_SIZE = 4_096


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


def why_unusable(folder: Path) -> str:
    """Return why hits cannot be saved in a folder that may not exist yet, or ``""``.

    It writes a file without a name there, or in the folder that would contain it, and leaves
    nothing behind.
    """
    if not folder.is_absolute():
        return "is not an absolute path"
    place = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    try:
        if place == folder and (reason := why_untrusted(folder)):
            return reason
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            if file.write(b"\xff" * _PROBE_SIZE) < _PROBE_SIZE:
                return "has no space left"
    except OSError as error:
        action = "written to" if place == folder else "made"
        return f"cannot be {action}: {error.strerror or error}"
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
    draft = folder / f"{secrets.token_hex(8)}{DRAFT}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return draft.rename(folder / name)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def delete_stale_drafts(folder: Path, older_than: float = 3_600.0) -> None:
    """Delete half-written files of processes that died.

    Args:
        folder: the folder they are in.
        older_than: seconds after which a draft is certain to be abandoned.

    Raises:
        OSError: the folder cannot be read.
    """
    for name in file_names(folder, DRAFT)[0]:
        with suppress(FileNotFoundError):
            if time.time() - (folder / name).stat().st_mtime > older_than:
                (folder / name).unlink()


def segment_paths(folder: Path) -> list[Path]:
    """Return the files with hits, oldest first; of very many a part, another one each time.

    Raises:
        OSError: the folder cannot be read.
    """
    names, _ = file_names(folder, SUFFIXES)
    if len(names) > MAX_FILES:
        # At random: the first ones may be files that cannot be taken over.
        names = random.sample(names, MAX_FILES)
    found = []
    for name in names:
        with suppress(FileNotFoundError):  # written and removed meanwhile
            found.append(((folder / name).stat().st_mtime_ns, folder / name))
    return [path for _, path in sorted(found)]


def file_names(
    folder: Path, suffixes: str | tuple[str, ...], max_entries: int | None = None
) -> tuple[list[str], bool]:
    """Return the names of the files in a folder that end in a suffix.

    Args:
        folder: the folder; one that does not exist has no files.
        suffixes: the suffix, or several.
        max_entries: how many entries of the folder are looked at.

    Returns:
        The names, and whether these are all of them.

    Raises:
        OSError: the folder cannot be read.
    """
    names: list[str] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == max_entries:
                return names, False
            if entry.name.endswith(suffixes) and entry.is_file(follow_symlinks=False):
                names.append(entry.name)
    return names, True
