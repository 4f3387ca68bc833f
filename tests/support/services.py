"""What tests need besides Python, and what happens where it is missing."""

import os
import shutil

import pytest

#: Set where a missing service is a failure and no reason to skip.
REQUIRED = "TRACKING_REQUIRE_SERVICES"


def missing(what: str) -> None:
    """Skip the test that needs ``what``, or fail it where all services are promised."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what} is missing, and {REQUIRED} is set.")
    pytest.skip(f"needs {what}")


def chromium() -> str:
    """Return the path of the system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("Chromium")
    raise AssertionError
