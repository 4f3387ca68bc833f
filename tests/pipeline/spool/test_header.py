"""The header of a spool file."""

import struct

import pytest

from tracking.pipeline.spool.header import HEADER_SIZE, BadHeader, Header, NewerHeader

STAMP = bytes(range(16))
HEADER = Header(STAMP, 300, 500)


def test_a_header_comes_back():
    assert Header.unpack(HEADER.pack()) == Header.unpack(HEADER.pack() + b"records") == HEADER
    assert len(HEADER.pack()) == HEADER.size == HEADER_SIZE
    assert Header.new(STAMP) == (STAMP, HEADER_SIZE, HEADER_SIZE)


def test_a_header_of_version_2_comes_back_in_its_form():
    packed = struct.pack("<8sQQ", b"TRKSP\x002\n", 30, 40)
    header = Header.unpack(packed)
    assert header == (None, 30, 40)
    assert header.pack() == packed
    assert Header.new(None) == (None, 24, 24)


def test_any_flipped_bit_spoils_one_copy_at_most():
    for bit in range(HEADER_SIZE * 8):
        packed = bytearray(HEADER.pack())
        packed[bit // 8] ^= 1 << bit % 8
        assert Header.unpack(bytes(packed)) == HEADER


def test_two_damaged_copies_that_name_one_site_begin_from_the_start():
    for first in range(24, 32):
        for second in range(24, 48):
            packed = bytearray(HEADER.pack())
            packed[first] ^= 1
            packed[HEADER_SIZE // 2 + second] ^= 1
            found = Header.unpack(bytes(packed))
            assert found == (Header.new(STAMP) if second < 44 else HEADER)


def test_two_damaged_copies_that_name_two_sites_are_nobody_s():
    packed = bytearray(HEADER.pack())
    packed[10] ^= 1
    packed[HEADER_SIZE // 2 + 11] ^= 1
    with pytest.raises(BadHeader, match="unknown format"):
        Header.unpack(bytes(packed))


@pytest.mark.parametrize("length", [0, 1, 8, 23, 24, 48, HEADER_SIZE - 1])
def test_a_cut_header_is_told_from_an_unknown_format(length):
    with pytest.raises(BadHeader, match="is cut in its header"):
        Header.unpack(HEADER.pack()[:length])


def test_a_later_version_is_told_from_an_unknown_format():
    with pytest.raises(NewerHeader):
        Header.unpack(HEADER.pack().replace(b"TRKSPOL3", b"TRKSPOL4"))
    with pytest.raises(BadHeader, match="unknown format"):
        Header.unpack(b"something else altogether" * 9)
