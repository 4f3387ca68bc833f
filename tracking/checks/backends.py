"""Settings of the backend: class, lag, spool."""

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.backends import automatic, get_backend
from tracking.checks.numbers import positive_number_errors
from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_backend(**_: Any) -> list[CheckMessage]:
    """E006: the backend cannot be loaded. A backend that can runs checks of its own."""
    try:
        return get_backend().check()
    except Exception as error:  # noqa: BLE001 - the site's class may raise anything
        return [
            Error(
                f"TRACKING_BACKEND cannot be loaded: {error!r}",
                hint="Leave it out, or name a class as the documentation lists them.",
                id="tracking.E006",
            )
        ]


@register(TAG)
def check_unused_spool(**_: Any) -> list[CheckMessage]:
    """E017, W016: the folder of the spool, if the backend does not check it."""
    if not conf.spool or importlib.util.find_spec("fcntl") is None:
        return []
    with suppress(Exception):  # E006 reports a backend that cannot be made
        if hasattr(get_backend(), "spool"):
            return []
    # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
    from tracking.backends.spool_check import check_spool  # noqa: PLC0415

    return check_spool(Path(conf.spool))


@register(TAG)
def check_start_writer(**_: Any) -> list[CheckMessage]:
    """E024, W018: whether a writer process is started, and whether it would have work."""
    if not isinstance(conf.start_writer, bool):
        return [
            Error(
                f"TRACKING_START_WRITER is {conf.start_writer!r}.",
                hint="Set True or False.",
                id="tracking.E024",
            )
        ]
    if not conf.start_writer or (not conf.backend and automatic.find_obstacle() is None):
        return []
    with suppress(Exception):  # E006 reports a backend that cannot be made
        if not getattr(get_backend().spooler, "leaves_to_writer", False):
            return [
                Warning(
                    "TRACKING_START_WRITER does nothing: the backend writes each hit itself.",
                    hint="Set TRACKING_BACKEND to BufferedBackend or CeleryBackend, or remove it.",
                    id="tracking.W018",
                )
            ]
    return []


@register(TAG)
def check_max_lag(**_: Any) -> list[CheckMessage]:
    """E018: the lag after which hits are late."""
    return positive_number_errors("TRACKING_MAX_LAG", conf.max_lag, "seconds", id="tracking.E018")


@register(TAG, deploy=True)
def check_spool_is_permanent(**_: Any) -> list[CheckMessage]:
    """W012: hits are spooled among temporary files. W017: the disk of the spool does not last."""
    is_chosen = not conf.backend and automatic.find_obstacle() is None
    if not is_chosen and not hasattr(get_backend(), "spool"):
        return []
    # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
    from tracking.pipeline.spool.location import (  # noqa: PLC0415
        spool_location,
        vanishing_file_system,
    )

    location = spool_location()
    if kind := vanishing_file_system(location.folder):
        return [
            Warning(
                f"TRACKING_SPOOL: the file system of {location.folder} ({kind}) ends with the "
                "machine or the container, and the hits that wait there end with it.",
                hint="Set TRACKING_SPOOL to a folder that lasts, such as one of a volume; or save "
                f'each hit in its request: TRACKING_BACKEND = "{automatic.IMMEDIATE}".',
                id="tracking.W017",
            )
        ]
    if is_chosen or not location.is_temporary:
        return []
    return [
        Warning(
            f"TRACKING_SPOOL is not set: hits are spooled among temporary files, in "
            f"{location.folder}.",
            hint="Set a folder on a local disk that nothing cleans up.",
            id="tracking.W012",
        )
    ]
