"""The other packages, where they can be had.

django-ptrack is in the dependency group ``bench``. The two that track visitors cannot be:
their package is called ``tracking``, as ours is. Each gets a folder of its own, which only
the processes see that serve it.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

#: What is installed into a folder, by the name of a peer.
APART = {
    "django-tracking2": "django-tracking2==0.5.1",
    "django-user-tracking": "django-user-tracking==0.4.11",
}

#: What the others are imported as.
BESIDE = {"django-ptrack": "ptrack"}


class Missing(Exception):
    """A peer that cannot be had."""


def installed(peer: str, folder: Path) -> Path | None:
    """Return the folder that a peer is imported from, or ``None`` where it is installed.

    Args:
        peer: its name on the package index.
        folder: where it may be installed.

    Raises:
        Missing: it cannot be had; the reason.
    """
    if peer in BESIDE:
        if importlib.util.find_spec(BESIDE[peer]) is None:
            raise Missing(f"{peer} is not installed (dependency group bench)")
        return None
    place = folder / peer
    if not place.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        result = subprocess.run(
            [*command, "--target", str(place), APART[peer]],
            capture_output=True,
            check=False,
            text=True,
        )
        if result.returncode:
            last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Missing(f"{peer} cannot be installed: {last}")
    return place
