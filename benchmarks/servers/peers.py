"""Install the other packages.

django-ptrack is in the dependency group ``bench``. The two that track visitors cannot be, because
their package is called ``tracking`` like ours. Each is installed into its own folder, from which
only the processes that serve it can import.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

#: Packages that are installed into their own folder.
SEPARATE = {
    "django-tracking2": "django-tracking2==0.5.1",
    "django-user-tracking": "django-user-tracking==0.4.11",
}

#: Packages of the environment, with their import names.
INSTALLED = {"django-ptrack": "ptrack"}


class Missing(Exception):
    """A package is not available. The message is the reason."""


def installed(peer: str, folder: Path) -> Path | None:
    """Return the folder to import a package from, or ``None`` if it is in the environment.

    Args:
        peer: the name of the package.
        folder: the folder to install it below.

    Raises:
        Missing: the package is not available.
    """
    if peer in INSTALLED:
        if importlib.util.find_spec(INSTALLED[peer]) is None:
            raise Missing(f"{peer} is not installed (dependency group bench)")
        return None
    place = folder / peer
    if not place.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        result = subprocess.run(
            [*command, "--target", str(place), SEPARATE[peer]],
            capture_output=True,
            check=False,
            text=True,
        )
        if result.returncode:
            last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Missing(f"{peer} cannot be installed: {last}")
    return place
