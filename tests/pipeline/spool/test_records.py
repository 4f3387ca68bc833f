"""Records of the spool, whole and damaged."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from tracking.hits import Hit, PageHit, Reference
from tracking.pipeline.spool import decode_hit, encode_hit
from tracking.pipeline.spool.records import (
    MARKER,
    BadRecord,
    DamagedBytes,
    Record,
    frame_record,
    parse_records,
)

VALUES = {
    "born": date(2001, 2, 3),
    "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "price": Decimal("12.340"),
    "id": uuid.UUID(int=7),
    "big": 2**70,
    "list": [1, {"a": None}],
    "text": "Größe \0",
}


def hit(number=0, **values):
    return Hit(kind="open", **{"data": {"n": number}, **values})


def test_a_hit_comes_back_with_types_beyond_json():
    sent = hit(
        data=VALUES,
        target=Reference("shop.tea", "7"),
        ip_address="::1",
        visitor="v",
        url="https://x",
    )
    assert decode_hit(encode_hit(sent)) == sent
    page = PageHit(visitor="v", url="/a", campaign={"source": "x"}, user="7")
    assert decode_hit(encode_hit(page)) == page


def test_what_a_token_could_not_carry_becomes_what_django_writes_as_json():
    odd = {"tuple": (1, 2), "lazy": lazystr("x"), "lasted": timedelta(seconds=1), "half": "\ud800"}
    data = decode_hit(encode_hit(hit(data=odd))).data
    assert data == {"tuple": [1, 2], "lazy": "x", "lasted": "P0DT00H00M01S", "half": "?"}
    assert decode_hit(encode_hit(hit(user_agent="a\udcff"))).user_agent == "a?"
    with pytest.raises(TypeError):
        encode_hit(hit(data={"what": object()}))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", b"\x81\xa4kind\xa4open", b"\x07"])
def test_a_payload_without_a_hit_is_a_bad_record(payload):
    with pytest.raises(BadRecord):
        decode_hit(payload)


@pytest.mark.parametrize("key", [7, 1.5, None, True])
def test_a_key_that_is_no_text_is_written_as_json_writes_it(key):
    data = {key: "a", "list": [1, {key: 2}]}
    [name] = json.loads(json.dumps({key: 0}))
    assert decode_hit(encode_hit(Hit(kind="open", data=data))).data == {
        name: "a",
        "list": [1, {name: 2}],
    }


def test_what_is_nested_too_deeply_to_be_read_is_a_bad_record():
    payload = encode_hit(Hit(kind="open", data={"a": 1}))
    before, after = payload.split(b"\xa1a\x01")
    with pytest.raises(BadRecord):
        decode_hit(before + b"\xa1a" + b"\x91" * 100_000 + b"\x01" + after)


payloads = st.lists(st.binary(max_size=200) | st.just(MARKER * 9), max_size=8)


@given(payloads, st.data())
def test_records_come_back_except_for_what_is_damaged(texts, data):
    frames = [frame_record(text, 1.0) for text in texts]
    whole = b"".join(frames)
    torn = data.draw(st.integers(0, len(whole)))
    items, used = parse_records(whole[:torn], at_end=True)
    intact = [text for i, text in enumerate(texts) if len(b"".join(frames[: i + 1])) <= torn]
    assert [item.payload for item in items if isinstance(item, Record)] == intact
    assert used == torn
    if whole:
        position = data.draw(st.integers(0, len(whole) - 1))
        wrong = bytearray(whole)
        wrong[position] ^= data.draw(st.integers(1, 255))
        items, used = parse_records(bytes(wrong), at_end=True)
        starts = [len(b"".join(frames[:i])) for i in range(len(frames))]
        hurt = max(i for i, start in enumerate(starts) if start <= position)
        assert [i.payload for i in items if isinstance(i, Record)] == [
            text for i, text in enumerate(texts) if i != hurt
        ]
        assert (
            b"".join(i.raw for i in items if isinstance(i, DamagedBytes))
            == wrong[starts[hurt] : starts[hurt] + len(frames[hurt])]
        )
        assert used == len(whole)


@given(payloads, st.integers(1, 60))
def test_a_file_may_be_read_in_pieces_of_any_size(texts, size):
    whole = b"".join(frame_record(text, 1.0) for text in texts)
    found, position, end = [], 0, 0
    while position < len(whole):
        end = min(end + size, len(whole))
        items, used = parse_records(whole[position:end], at_end=end == len(whole), limit=3)
        found += items
        position += used
    assert [item.payload for item in found] == texts
