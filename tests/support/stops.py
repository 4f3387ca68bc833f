"""How long services are stopped in the tests of promises, and how often workers are killed.

Short by default, so that the tests are quick. ``TRACKING_STOPS=30`` is the long form: services
are away for 30 seconds, and workers are killed as often.
"""

import os

_STOPS = "TRACKING_STOPS"


def seconds(short: float) -> float:
    """Return for how many seconds something is away.

    Args:
        short: that of the short form.
    """
    return float(os.environ.get(_STOPS, short))


def kills(short: int) -> int:
    """Return how often something is killed.

    Args:
        short: that of the short form.
    """
    return max(int(float(os.environ.get(_STOPS, short))), short)
