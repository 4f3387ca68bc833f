"""Services and programs that some tests need."""

import os
import shutil

import pytest

#: If this variable is set, a missing service fails the test instead of skipping it.
REQUIRED = "TRACKING_REQUIRE_SERVICES"


def missing(what: str) -> None:
    """Skip the test, because ``what`` is missing; fail it where services are required."""
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
