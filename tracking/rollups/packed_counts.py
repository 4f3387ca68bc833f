"""Counts of one day as bytes: each facet on its own, so that one can be read without the others.

packed = pack({"pages": {"/tea/": Counts(3, 2)}})
PackedCounts(packed).facet("pages")     # {"/tea/": Counts(3, 2)}
"""

import zlib
from collections.abc import Mapping

import msgspec

from tracking.rollups.counts import Counts

#: Counts by value.
ByValue = dict[str, Counts]

_encode = msgspec.msgpack.Encoder().encode
_decode_facets = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_decode_counts = msgspec.msgpack.Decoder(ByValue).decode


def pack(facets: Mapping[str, Mapping[str, Counts]]) -> bytes:
    """Return counts as bytes.

    Args:
        facets: the counts by facet and value.
    """
    # Level 1: values of one facet are alike, and a report waits for it.
    return _encode({name: zlib.compress(_encode(found), 1) for name, found in facets.items()})


class PackedCounts:
    """Counts of one day that were packed.

    Args:
        packed: the result of :func:`pack`, of any type that databases return.
    """

    def __init__(self, packed: bytes | memoryview) -> None:
        self._facets = _decode_facets(packed)

    def facet(self, name: str) -> ByValue:
        """Return the counts of a facet by value, none if it was not packed.

        Args:
            name: the facet.
        """
        found = self._facets.get(name)
        return {} if found is None else _decode_counts(zlib.decompress(found))
