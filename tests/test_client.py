import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from tracking.client import address, mask, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:443", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        (None, None),
        ("unix:", None),
        ("localhost", None),
        ("192.0.2", None),
        ("192.0.2.007", None),
        ("\0", None),
    ],
)
def test_addresses_have_one_spelling(text, expected):
    assert normalise(text) == expected


@given(st.text(max_size=50))
def test_rubbish_is_no_address(text):
    assert normalise(text) in {None, normalise(normalise(text))}


@given(st.ip_addresses())
def test_every_address_is_understood(parsed):
    canonical = normalise(str(parsed))
    assert canonical is not None
    assert normalise(canonical) == canonical
    assert mask(mask(canonical)) == mask(canonical)


def test_no_header_is_believed():
    request = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="203.0.113.9", HTTP_X_REAL_IP="1.1.1.1"
    )
    assert address(request) == "192.0.2.7"


def test_a_unix_socket_has_no_address():
    request = RequestFactory().get("/")
    del request.META["REMOTE_ADDR"]
    assert address(request) is None


def test_masks():
    assert mask("192.0.2.7") == "192.0.2.0"
    assert mask("2001:db8:1:2:3::7") == "2001:db8:1::"
    with pytest.raises(ValueError, match="rubbish"):
        mask("rubbish")
