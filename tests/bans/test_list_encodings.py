"""The text of ban lists' files."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.bans.list_encodings import FileTooLargeError, UnreadableFileError, decode_list

TEXT = "network;Grund\r\n192.0.2.7;Müßig, ä €\r\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_text_is_read_in_the_usual_encodings(encoding, pack):
    assert decode_list(pack(TEXT.encode(encoding))) == TEXT


def test_latin_1_with_bytes_that_windows_lacks_is_read():
    assert decode_list(b"192.0.2.7;\x81\xe4") == "192.0.2.7;\x81ä"


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT.encode(), mtime=0)[:-9],
        gzip.compress(TEXT.encode(), mtime=0)[:20] + b"rubbish",
        b"\x1f\x8b",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff",
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff",
        b"192.0.2.7\n\xff\xfe\n",
        "192.0.2.7\n".encode("utf-16")[:-1],
    ],
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(UnreadableFileError, match=r"\w"):
        decode_list(data)


def test_a_small_file_does_not_become_a_large_one():
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(FileTooLargeError):
        decode_list(bomb, max_size=1_000)


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda some: b"\x1f\x8b\x08" + some))
def test_no_file_breaks_the_reader(data):
    with contextlib.suppress(UnreadableFileError):
        assert isinstance(decode_list(data, max_size=10_000), str)
