"""Who a recipient is: rows and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import ProxyAffiliate, Seat, Subscriber
from tracking.hits import Reference
from tracking.recipient_consent.recipients import (
    address_of,
    digest_of_row,
    identify,
    identify_address,
)

KEY = bytes(range(16))


@pytest.mark.parametrize(
    "spelling",
    [
        "anna@müller.example",
        "Anna@MÜLLER.example",
        "anna@xn--mller-kva.example",
        "anna@XN--MLLER-KVA.Example.",
        "Anna Müller <ANNA@müller.EXAMPLE>",
        " anna@mu\N{COMBINING DIAERESIS}ller.example ",
        '"Müller, Anna" <anna@müller.example>',
    ],
)
def test_spellings_of_an_address_are_one_recipient(spelling):
    assert address_of(spelling) == "anna@xn--mller-kva.example"


def test_other_addresses_are_other_recipients():
    digests = {
        identify_address(address, KEY).digest
        for address in ("a@b.example", "a@c.example", "b@b.example", "a+b@b.example")
    }
    assert len(digests) == 4
    assert identify_address("a@b.example", bytes(16)) != identify_address("a@b.example", KEY)


@pytest.mark.parametrize("text", ["", "anna", "@", "anna@", "@a.example", "x" * 400 + "@a.example"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="no e-mail address"):
        address_of(text)


@given(st.emails() | st.text())
def test_any_text_has_one_form_or_is_refused(text):
    try:
        once = address_of(text)
    except ValueError:
        return
    if "," not in once and '"' not in once and "(" not in once and "<" not in once:
        assert address_of(once) == once
    identity = identify_address(text, KEY)
    assert -(2**63) <= identity.digest < 2**63
    assert len(identity.key) == 32


def test_rows_are_known_by_model_and_key():
    row = Subscriber()
    identity = identify(Reference.to(row), "default")
    assert identity == (digest_of_row(Reference.to(row)), "site.subscriber", str(row.pk))
    assert identify(row, "default") == identity
    assert digest_of_row(Reference("site.a", "b1")) != digest_of_row(Reference("site.ab", "1"))
    proxy = ProxyAffiliate(pk=1)
    assert digest_of_row(Reference.to(proxy)) == digest_of_row(Reference("site.affiliate", "1"))


@pytest.mark.parametrize("other", [None, 1, b"anna@a.example", Seat(row=1, number=2)])
def test_anything_else_is_an_error(other):
    with pytest.raises(TypeError):
        identify(other, "default")
