"""The ban list: the cost of a look-up, and the time and memory to build one."""

import ipaddress
import random
import timeit
import tracemalloc
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from benchmarks.measuring import ROUNDS, Variant, compare, print_row, print_spread
from tracking.bans.prefix_set import PrefixSet

ADDRESSES, NETWORKS = 100_000, 10_000

#: Typical prefix lengths of published ban lists.
LENGTHS = (12, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 28)


Rows = list[tuple[str, datetime | None]]


def networks() -> Rows:
    """Return the addresses and networks to ban; the same on each run."""
    chance = random.Random(7)

    def address() -> int:
        return chance.randrange(1 << 24, 223 << 24)

    rows = {str(ipaddress.IPv4Address(address())) for _ in range(ADDRESSES)}
    for _ in range(NETWORKS):
        bits = chance.choice(LENGTHS)
        rows.add(str(ipaddress.ip_network((address(), bits), strict=False)))
    return [(row, None) for row in rows]


def as_ipv6(rows: Rows) -> Rows:
    """Return as many IPv6 addresses and networks."""
    chance = random.Random(7)
    found: Rows = []
    for row, _ in rows:
        number = (0x2000 << 112) | chance.getrandbits(124)
        bits = row.partition("/")[2]
        if bits:
            network = ipaddress.ip_network((number, 2 * int(bits)), strict=False)
            found.append((str(network), None))
        else:
            found.append((str(ipaddress.IPv6Address(number)), None))
    return found


def with_expiry(rows: Rows, share: float) -> Rows:
    """Return the rows; the given share of them expires, each at its own time."""
    now = timezone.now()
    return [
        (network, now + timedelta(hours=1, seconds=number) if number < share * len(rows) else None)
        for number, (network, _) in enumerate(rows)
    ]


def megabytes(rows: Rows) -> float:
    """Return the memory that a list of these rows occupies."""
    tracemalloc.start()
    ban_list = PrefixSet.from_networks(rows)
    size = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert rows[0][0].partition("/")[0] in ban_list
    return size


def addresses(rows: Iterable[str], bans: PrefixSet) -> dict[str, str]:
    """Return the addresses to look up, by title."""
    alone = next(network for network in rows if "/" not in network)
    wide = next(network.partition("/")[0] for network in rows if network.endswith("/28"))
    free = next(
        address
        for address in (str(ipaddress.IPv4Address(9 << 24 | n * 7919)) for n in range(9_999))
        if address not in bans
    )
    return {"hit": alone, "in a network": wide, "miss": free, "IPv6, miss": "2a00:db8::77"}


def main() -> None:
    """Measure and print."""
    rows = networks()
    ipv6_rows = as_ipv6(rows)
    for name, share in (("", 0.0), (", a tenth expires", 0.1), (", all expire", 1.0)):
        both = PrefixSet.from_networks(with_expiry(rows + ipv6_rows, share))
        looked_up = addresses([network for network, _ in rows], both)
        rounds = compare(
            {
                what: Variant(lambda address=address, both=both: address in both)
                for what, address in looked_up.items()
            }
        )
        for what, figures in rounds.items():
            # Bans that expire miss the target: a hit reads Django's clock, which alone takes half
            # a microsecond.
            print_spread(f"look-up, {what}{name}", figures, "µs", "at most 1 µs")
    figures_of = {
        "": rows,
        ", IPv6": ipv6_rows,
        ", a tenth expires": with_expiry(rows, 0.1),
        ", all expire": with_expiry(rows, 1.0),
    }
    for name, some in figures_of.items():
        built = timeit.repeat(
            lambda some=some: PrefixSet.from_networks(some), number=1, repeat=ROUNDS
        )
        print_spread(f"built{name}", built, "s", "at most 0.3 s")
        # A list in which all expire misses the target too: each then stores its expiry.
        print_row(f"memory{name}", f"{megabytes(some):.1f} MB", "at most 10 MB")
