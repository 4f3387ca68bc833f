"""Names of settings: misspellings."""

import difflib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004

from tracking import conf
from tracking.checks.tags import TAG


@register(TAG)
def check_setting_names(**_: Any) -> list[CheckMessage]:
    """W001: a ``TRACKING_`` setting looks like a misspelled one of this app."""
    ours = [name.removeprefix(conf.PREFIX) for name in conf.NAMES]
    present = [
        name.removeprefix(conf.PREFIX) for name in dir(settings) if name.startswith(conf.PREFIX)
    ]
    return [
        Warning(
            f"{conf.PREFIX}{name} is not a setting of this app.",
            hint=f"Did you mean {conf.PREFIX}{close[0]}?",
            id="tracking.W001",
        )
        for name in present
        if name not in ours and (close := difflib.get_close_matches(name, ours, n=1, cutoff=0.75))
    ]
