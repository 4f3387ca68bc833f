"""Links that were asked for with ``HEAD`` a moment ago.

Browsers do not ask with ``HEAD`` for a link that they then follow; scanners of mail do. Each
process remembers those that it has answered. If another one gets the GET, the click looks like that
of a person.
"""

from time import monotonic

#: The key in the data of a click whose link was asked for with HEAD before.
ASKED_WITH_HEAD = "asked_with_head"

#: Seconds for which a HEAD is remembered.
MAX_AGE = 60.0

#: How many are remembered: strangers send them.
MAX_NUMBER = 1_000

#: When each was asked for, by the address and the token, the oldest first.
_asked: dict[tuple[str | None, str], float] = {}


def remember(address: str | None, token: str) -> None:
    """Remember a HEAD.

    Args:
        address: the client's address.
        token: that of the link.
    """
    key = address, token
    _asked.pop(key, None)
    _asked[key] = monotonic()
    while len(_asked) > MAX_NUMBER:
        _asked.pop(next(iter(_asked)), None)


def are_any() -> bool:
    """Return whether any HEAD is remembered."""
    return bool(_asked)


def was_asked(address: str | None, token: str) -> bool:
    """Return whether the client has asked with HEAD for a link it now follows.

    Args:
        address: the client's address.
        token: that of the link.
    """
    asked_at = _asked.get((address, token))
    return asked_at is not None and monotonic() - asked_at <= MAX_AGE
