"""The ban list: what a look-up costs, and what it takes to build one."""

import ipaddress
import random
import timeit
import tracemalloc

from benchmarks.measuring import ROUNDS, Variant, compare, print_row, print_spread
from tracking.bans import BanList

ADDRESSES, NETWORKS = 100_000, 10_000

#: How long the prefixes of lists that are passed around are.
LENGTHS = (12, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 28)


def networks() -> list[tuple[str, None]]:
    """Return that many addresses and networks, the same each time."""
    chance = random.Random(7)

    def address() -> int:
        return chance.randrange(1 << 24, 223 << 24)

    rows = {str(ipaddress.IPv4Address(address())) for _ in range(ADDRESSES)}
    for _ in range(NETWORKS):
        bits = chance.choice(LENGTHS)
        rows.add(str(ipaddress.ip_network((address(), bits), strict=False)))
    return [(row, None) for row in rows]


def six(rows: list[tuple[str, None]]) -> list[tuple[str, None]]:
    """Return as many of IPv6."""
    chance = random.Random(7)
    found = []
    for row, _ in rows:
        number = (0x2000 << 112) | chance.getrandbits(124)
        bits = row.partition("/")[2]
        if bits:
            network = ipaddress.ip_network((number, 2 * int(bits)), strict=False)
            found.append((str(network), None))
        else:
            found.append((str(ipaddress.IPv6Address(number)), None))
    return found


def megabytes(rows: list[tuple[str, None]]) -> float:
    """Return what a list of these rows holds on to."""
    tracemalloc.start()
    kept = BanList.build(rows)
    size = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert rows[0][0].partition("/")[0] in kept
    return size


def main() -> None:
    """Measure and print."""
    rows = networks()
    rows_of_six = six(rows)
    four, both = BanList.build(rows), BanList.build(rows + rows_of_six)
    alone = next(network for network, _ in rows if "/" not in network)
    wide = next(network.partition("/")[0] for network, _ in rows if network.endswith("/28"))
    free = next(
        address
        for address in (str(ipaddress.IPv4Address(9 << 24 | n * 7919)) for n in range(9_999))
        if address not in four
    )
    looked_up = {"hit": alone, "in a network": wide, "miss": free, "IPv6, miss": "2a00:db8::77"}
    rounds = compare(
        {
            name: Variant(lambda address=address: address in both)
            for name, address in looked_up.items()
        }
    )
    for name, figures in rounds.items():
        print_spread(f"look-up, {name}", figures, "µs", "at most 1 µs")
    for name, some in (("", rows), (", IPv6", rows_of_six)):
        built = timeit.repeat(lambda some=some: BanList.build(some), number=1, repeat=ROUNDS)
        print_spread(f"built{name}", built, "s", "at most 0.3 s")
        print_row(f"memory{name}", f"{megabytes(some):.1f} MB", "at most 10 MB")
