"""How much of the Internet a list of networks covers: many wide ones ban everybody together.

>>> covered_shares(map(Prefix.of, ["0.0.0.0/2", "64.0.0.0/2", "10.0.0.0/8"]))
[0.5, 0.0]
"""

import operator
from collections.abc import Iterable, Iterator
from itertools import chain

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from tracking.bans.prefix_set import Prefix
from tracking.bans.snapshot import snapshot

#: The share of all IPv4 addresses, or of 2000::/3, from which on a list is refused.
MAX_SHARE = 0.25

#: The spaces that count: IPv6 addresses in use are all in 2000::/3.
SPACES = ("0.0.0.0/0", "2000::/3")
_MAX_COUNTS = (MAX_SHARE * 2**32, MAX_SHARE * 2**125)


def find_wide_coverage(networks: Iterable[str]) -> list[str]:
    """Return the objections to banning all these networks, as translated sentences.

    They may be too many on their own, or together with the bans in force.

    Args:
        networks: addresses and networks. Of single addresses there are never enough.
    """
    wide = [network for network in networks if "/" in network]
    if not wide or _cannot_be_too_many(wide):  # nearly always
        return []
    wanted = {prefix for network in wide if (prefix := Prefix.of(network))}
    banned = list(snapshot.current.prefixes())
    found = []
    for space, alone, before, together in zip(
        SPACES,
        covered_shares(wanted),
        covered_shares(banned),
        covered_shares(chain(wanted, banned)),
        strict=True,
    ):
        if alone >= MAX_SHARE:
            message = _("Together, the networks cover %(percent)s %% of %(space)s.")
            found.append(message % {"percent": _percent(alone), "space": space})
        elif before < MAX_SHARE <= together:
            message = _(
                "Together with the bans in force, the networks cover %(percent)s %% of %(space)s."
            )
            found.append(message % {"percent": _percent(together), "space": space})
    return found


def _cannot_be_too_many(networks: Iterable[str]) -> bool:
    """Return whether networks and bans are too few even if none overlap: this is much faster."""
    counts = list(snapshot.get().address_counts())
    for network in networks:
        _address, _slash, bits = network.partition("/")
        is_six = ":" in network
        if not bits.isdecimal():  # a netmask
            return False
        counts[is_six] += 1 << max(0, (128 if is_six else 32) - int(bits))
    return all(map(operator.lt, counts, _MAX_COUNTS))


def covered_shares(prefixes: Iterable[Prefix | None]) -> list[float]:
    """Return the share of each of :data:`SPACES` that networks cover, from 0 to 1.

    Args:
        prefixes: the networks, which may overlap.
    """
    spaces = [prefix for prefix in map(Prefix.of, SPACES) if prefix]
    spans: list[list[tuple[int, int]]] = [[] for _space in spaces]
    for prefix in prefixes:
        if prefix is not None:
            spans[prefix.is_six].append(_span(prefix))
    return [_share(_span(space), some) for space, some in zip(spaces, spans, strict=True)]


def _span(prefix: Prefix) -> tuple[int, int]:
    """Return the first address of a network, and the first one after it, as numbers."""
    return prefix.number << prefix.shift, (prefix.number + 1) << prefix.shift


def _share(space: tuple[int, int], spans: list[tuple[int, int]]) -> float:
    covered = sum(end - start for start, end in _merged(space, spans))
    return covered / (space[1] - space[0])


def _merged(space: tuple[int, int], spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of the spans in a space, without overlaps."""
    position, limit = space
    for start, end in sorted(spans):
        part = max(start, position), min(end, limit)
        if part[0] < part[1]:
            yield part
            position = part[1]


def _percent(share: float) -> str:
    return number_format(round(100 * share))
