"""How long services are stopped, and how often workers are killed.

Short by default, so that the tests are quick. ``TRACKING_OUTAGE=30`` is the long form: services are
unreachable for 30 seconds, and workers are killed 30 times.
"""

import os

_VARIABLE = "TRACKING_OUTAGE"


def seconds(short: float) -> float:
    """Return for how many seconds a service is stopped, by default ``short``."""
    return float(os.environ.get(_VARIABLE, short))


def kills(short: int) -> int:
    """Return how often a worker is killed, at least ``short`` times."""
    return max(int(float(os.environ.get(_VARIABLE, short))), short)
