"""Which backend saves hits where ``TRACKING_BACKEND`` names none.

A process that serves requests keeps hits in the spool, from which its thread writes them. All other
processes write them at once: commands, shells, Celery workers, and the tests of a site. So do
servers to which :func:`find_obstacle` objects.
"""

import importlib.util
import os
from typing import Any, NamedTuple

from django.db import connections, router
from django.utils.translation import gettext_noop

from tracking import compat
from tracking.db import threads
from tracking.log_limits import get_logger

logger = get_logger(__name__)

IMMEDIATE = "tracking.backends.immediate.ImmediateBackend"
BUFFERED = "tracking.backends.buffered.BufferedBackend"

#: Set where the platform stops a process between two requests, its threads included, and where
#: its disk goes with it.
SERVERLESS = (
    "AWS_LAMBDA_FUNCTION_NAME",
    "FUNCTIONS_WORKER_RUNTIME",  # Azure Functions
    "FUNCTION_TARGET",  # Google's functions
    "K_SERVICE",  # Knative, Google Cloud Run
    "VERCEL",
)


class Obstacle(NamedTuple):
    """Why a server does not use the spool.

    Attributes:
        reason: a few English words.
        detail: what it is about; may be ``""``.
    """

    reason: str
    detail: str = ""


def choose(*, is_serving: bool) -> str:
    """Return the dotted path of the backend for this process.

    Args:
        is_serving: whether this process serves requests.
    """
    if not is_serving or compat.is_test_environment():
        return IMMEDIATE
    obstacle = find_obstacle()
    if obstacle is None:
        return BUFFERED
    logger.info("Hits are written at once: %s %s", obstacle.reason, obstacle.detail)
    return IMMEDIATE


def find_obstacle() -> Obstacle | None:
    """Return why a server with these settings and this environment writes at once, if it does."""
    if importlib.util.find_spec("fcntl") is None:
        return Obstacle(gettext_noop("this system has no spool"))
    if variable := next((name for name in SERVERLESS if os.environ.get(name)), ""):
        return Obstacle(gettext_noop("the platform stops processes between requests:"), variable)
    if not threads.are_running():
        return Obstacle(gettext_noop("uWSGI runs without --enable-threads"))
    return _obstacle_of_database() or _obstacle_of_folder()


def _obstacle_of_database() -> Obstacle | None:
    # A backend of the site may be imported before the models are.
    from tracking.models import Beacon  # noqa: PLC0415

    connection: Any = connections[router.db_for_write(Beacon)]
    if connection.vendor != "sqlite":
        return None
    if connection.is_in_memory_db():
        return Obstacle(gettext_noop("the database is in memory"))
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or ""
    if mode.upper() != "IMMEDIATE":
        # A transaction of the site that reads first, and writes after the thread has written,
        # would fail at once: "database is locked".
        return Obstacle(
            gettext_noop("the SQLite database lacks the option"), 'transaction_mode = "IMMEDIATE"'
        )
    return None


def _obstacle_of_folder() -> Obstacle | None:
    # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
    from tracking.pipeline.spool import spool_folder  # noqa: PLC0415
    from tracking.pipeline.spool.folder import why_unusable  # noqa: PLC0415

    folder = spool_folder()
    if why := why_unusable(folder):
        return Obstacle(gettext_noop("the spool cannot be used:"), f"{folder} {why}")
    return None
