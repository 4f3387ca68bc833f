"""The ban list in memory: a look-up takes a few steps, however long the list is.

    bans = PrefixSet.from_networks([("192.0.2.0/24", None), ("2001:db8::7", expires_at)])
    "192.0.2.7" in bans

The list is one set of integers per prefix length, separate for IPv4 and IPv6. An address is banned
if its first bits are in one of the sets and that ban has not expired.
"""

import logging
import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

from django.utils import timezone

from tracking import client_address

logger = logging.getLogger(__name__)

NEVER = math.inf

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291, section 2.5.5.2


class Prefix(NamedTuple):
    """The first bits of an address, as a number."""

    is_six: bool
    #: The number of bits after the prefix.
    shift: int
    number: int

    @classmethod
    def of(cls, network: str) -> "Prefix | None":
        """Return the prefix of a network; ``None`` if the text is not a network."""
        # Stored networks are canonical. For others the standard library is used, which takes ten
        # times as long.
        address, slash, bits = network.partition("/")
        is_six = ":" in address
        try:
            packed = inet_pton(AF_INET6 if is_six else AF_INET, address)
            shift = 8 * len(packed) - int(bits) if slash else 0
        except (OSError, ValueError):
            return cls._of_unusual(network)
        if not 0 <= shift <= 8 * len(packed) or packed.startswith(_MAPPED):
            return cls._of_unusual(network)
        return cls(is_six, shift, int.from_bytes(packed) >> shift)

    @classmethod
    def _of_unusual(cls, text: str) -> "Prefix | None":
        network = client_address.network_of(text.strip())
        if network is None:
            return None
        shift = network.max_prefixlen - network.prefixlen
        return cls(network.version == 6, shift, int(network.network_address) >> shift)  # noqa: PLR2004


class PrefixSet:
    """A set of networks that tells whether an address is in one of them now."""

    def __init__(self) -> None:
        """Create an empty set."""
        self._four: dict[int, set[int]] = {}
        self._six: dict[int, set[int]] = {}
        # The POSIX times at which bans expire. Expired bans stay in the sets above: the time is
        # checked only when an address is found.
        self._ends_of_four: dict[int, dict[int, float]] = {}
        self._ends_of_six: dict[int, dict[int, float]] = {}

    @classmethod
    def from_networks(cls, rows: Iterable[tuple[str, datetime | None]]) -> "PrefixSet":
        """Return a set of networks.

        Args:
            rows: each network with its expiry (aware), or ``None`` for never.
        """
        made = cls()
        invalid: list[str] = []
        for network, expires_at in rows:
            prefix = Prefix.of(network)
            if prefix is None:
                invalid.append(network)
                continue
            made._add(prefix, NEVER if expires_at is None else expires_at.timestamp())
        if invalid:
            logger.error(
                "%d banned networks are invalid and ignored, such as %r", len(invalid), invalid[0]
            )
        return made

    def _add(self, prefix: Prefix, end: float) -> None:
        by_shift = self._six if prefix.is_six else self._four
        banned = by_shift.setdefault(prefix.shift, set())
        ends_by_shift = self._ends_of_six if prefix.is_six else self._ends_of_four
        ends = ends_by_shift.setdefault(prefix.shift, {})
        if (
            prefix.number in banned
        ):  # one network in two forms, as raw SQL can write it: the later expiry counts
            end = max(end, ends.pop(prefix.number, NEVER))
        banned.add(prefix.number)
        if end != NEVER:
            ends[prefix.number] = end

    def __contains__(self, address: str) -> bool:
        try:
            if ":" not in address:
                number = int.from_bytes(inet_pton(AF_INET, address))
                is_six = False
            else:
                packed = inet_pton(AF_INET6, address)
                is_six = not packed.startswith(_MAPPED)
                number = int.from_bytes(packed if is_six else packed[12:])
        except (OSError, ValueError):
            return False  # not an address
        ends = self._ends_of_six if is_six else self._ends_of_four
        for shift, banned in (self._six if is_six else self._four).items():
            if (found := number >> shift) in banned:
                end = ends[shift].get(found)
                if end is None or timezone.now().timestamp() < end:
                    return True
        return False

    def address_counts(self) -> tuple[int, int]:
        """Return how many IPv4 and IPv6 addresses are in the set at most; overlaps count twice."""
        four, six = (
            sum(len(banned) << shift for shift, banned in by_shift.items())
            for by_shift in (self._four, self._six)
        )
        return four, six

    def prefixes(self) -> Iterator[Prefix]:
        """Yield the prefixes of all networks whose bans have not expired."""
        now = timezone.now().timestamp()
        for is_six, by_shift, ends_by_shift in (
            (False, self._four, self._ends_of_four),
            (True, self._six, self._ends_of_six),
        ):
            for shift, banned in by_shift.items():
                ends = ends_by_shift[shift]
                for number in banned:
                    if now < ends.get(number, NEVER):
                        yield Prefix(is_six, shift, number)

    def matching_prefixes(self, address: str) -> Iterator[Prefix]:
        """Yield the prefixes of all networks that contain an address.

        Args:
            address: an address; anything else is in no network.
        """
        whole = Prefix.of(address)
        if whole is None:
            return
        for shift, banned in (self._six if whole.is_six else self._four).items():
            if whole.number >> shift in banned:
                yield Prefix(whole.is_six, shift, whole.number >> shift)
