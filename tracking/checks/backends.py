"""Settings of the backend: class, lag, spool."""

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from tracking.backends import get_backend
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
                hint='The default is "tracking.backends.immediate.ImmediateBackend".',
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
def check_max_lag(**_: Any) -> list[CheckMessage]:
    """E018: the lag after which hits are late."""
    return positive_number_errors("TRACKING_MAX_LAG", conf.max_lag, "seconds", id="tracking.E018")


@register(TAG, deploy=True)
def check_spool_is_permanent(**_: Any) -> list[CheckMessage]:
    """W012: hits are spooled among temporary files."""
    if not hasattr(get_backend(), "spool"):
        return []
    # Imported only for sites with a spool: it needs fcntl, which Windows lacks.
    from tracking.pipeline.spool.location import spool_location  # noqa: PLC0415

    location = spool_location()
    if not location.is_temporary:
        return []
    return [
        Warning(
            f"TRACKING_SPOOL is not set: hits are spooled among temporary files, in "
            f"{location.folder}.",
            hint="Set a folder on a local disk that nothing cleans up.",
            id="tracking.W012",
        )
    ]
