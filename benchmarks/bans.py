"""The ban list: what a look-up costs, and what it takes to build one."""

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

#: How long the prefixes of lists that are passed around are.
LENGTHS = (12, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 28)


Rows = list[tuple[str, datetime | None]]


def networks() -> Rows:
    """Return that many addresses and networks, the same each time."""
    chance = random.Random(7)

    def address() -> int:
        return chance.randrange(1 << 24, 223 << 24)

    rows = {str(ipaddress.IPv4Address(address())) for _ in range(ADDRESSES)}
    for _ in range(NETWORKS):
        bits = chance.choice(LENGTHS)
        rows.add(str(ipaddress.ip_network((address(), bits), strict=False)))
    return [(row, None) for row in rows]


def six(rows: Rows) -> Rows:
    """Return as many of IPv6."""
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


def ending(rows: Rows, share: float) -> Rows:
    """Return the rows, the first of which end, each at a time of its own."""
    now = timezone.now()
    return [
        (network, now + timedelta(hours=1, seconds=number) if number < share * len(rows) else None)
        for number, (network, _) in enumerate(rows)
    ]


def megabytes(rows: Rows) -> float:
    """Return what a list of these rows holds on to."""
    tracemalloc.start()
    kept = PrefixSet.from_networks(rows)
    size = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert rows[0][0].partition("/")[0] in kept
    return size


def addresses(rows: Iterable[str], bans: PrefixSet) -> dict[str, str]:
    """Return what is looked up."""
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
    rows_of_six = six(rows)
    for name, share in (("", 0.0), (", a tenth ends", 0.1), (", all end", 1.0)):
        both = PrefixSet.from_networks(ending(rows + rows_of_six, share))
        looked_up = addresses([network for network, _ in rows], both)
        rounds = compare(
            {
                what: Variant(lambda address=address, both=both: address in both)
                for what, address in looked_up.items()
            }
        )
        for what, figures in rounds.items():
            # A ban that ends is above the target: Django's clock, which is asked where an
            # address was found, takes half a microsecond by itself.
            print_spread(f"look-up, {what}{name}", figures, "µs", "at most 1 µs")
    figures_of = {
        "": rows,
        ", IPv6": rows_of_six,
        ", a tenth ends": ending(rows, 0.1),
        ", all end": ending(rows, 1.0),
    }
    for name, some in figures_of.items():
        built = timeit.repeat(
            lambda some=some: PrefixSet.from_networks(some), number=1, repeat=ROUNDS
        )
        print_spread(f"built{name}", built, "s", "at most 0.3 s")
        # All ending is above the target too: each then keeps its end beside its number.
        print_row(f"memory{name}", f"{megabytes(some):.1f} MB", "at most 10 MB")
