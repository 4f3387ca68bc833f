"""When a message is tried again.

Standard Webhooks recommends several days, with delays that grow and vary. These are the delays of
its example, with a random part.
"""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Seconds from each failed attempt of a message to the next one: ten attempts in three days.
DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)

#: Attempts until a message is given up.
MAX_ATTEMPTS = len(DELAYS) + 1

#: The age at which a message is given up while its endpoint fails.
MAX_AGE = timedelta(seconds=sum(DELAYS), hours=4)

#: The longest pause of an endpoint in seconds. One message tries whether it works again.
MAX_PAUSE = 1_800

#: The longest pause that an endpoint can ask for by ``Retry-After``, in seconds.
MAX_RETRY_AFTER = 86_400

#: Each delay is multiplied by a random number between these.
_JITTER = (0.8, 1.2)


def delay_of_message(attempts: int) -> timedelta:
    """Return the time until a message is tried again.

    Args:
        attempts: its failed attempts, at least 1.
    """
    return _vary(DELAYS[min(attempts, len(DELAYS)) - 1])


def pause_of_endpoint(failures: int, retry_after: float | None = None) -> timedelta:
    """Return the time until any message is sent to an endpoint that has failed.

    Args:
        failures: failed attempts in a row, at least 1.
        retry_after: the seconds that it asks for.
    """
    if retry_after is not None:
        return timedelta(seconds=min(retry_after, MAX_RETRY_AFTER))
    return _vary(min(DELAYS[min(failures, len(DELAYS)) - 1], MAX_PAUSE))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (RFC 9110, section 10.2.3).

    >>> retry_after("120", datetime.now(UTC))
    120.0

    Args:
        header: the value of the header, a number of seconds or a date.
        now: the present time (aware).

    Returns:
        The seconds, at least 0; ``None`` without a valid header.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)


def _vary(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(*_JITTER))  # noqa: S311 - no secret
