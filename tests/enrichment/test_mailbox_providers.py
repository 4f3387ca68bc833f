import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.enrichment.mailbox_providers import Mailbox, mailbox_provider


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@gmail.com", "gmail"),
        ("anna@GoogleMail.com", "gmail"),
        ("anna+news@gmail.com", "gmail"),
        ("anna@outlook.com", "outlook"),
        ("anna@hotmail.co.uk", "outlook"),
        ("anna@live.com.mx", "outlook"),
        ("anna@msn.com", "outlook"),
        ("anna@yahoo.com", "yahoo"),
        ("anna@yahoo.co.jp", "yahoo"),
        ("anna@yahoo.de", "yahoo"),
        ("anna@ymail.com", "yahoo"),
        ("anna@aol.com", "yahoo"),
        ("anna@icloud.com", "apple"),
        ("x7@privaterelay.appleid.com", "apple"),
        ("anna@gmx.de", "other"),
        ("anna@gmail.com.evil.example", "other"),
        ("anna@notgmail.com", "other"),
        ("anna@yahoo.example", "other"),
        ("anna@yahoo.shop.example", "other"),
        ("anna@yahoo.evil.uk", "other"),
        ("anna@live.example.com", "other"),
        ("anna@bücher.example", "other"),
        ('"a@b"@icloud.com', "apple"),
        ("anna@gmail.com.", "gmail"),
        ("anna", ""),
        ("", ""),
        ("@gmail.com", ""),
        ("anna@", ""),
    ],
)
def test_the_provider_of_an_address(address, expected):
    assert mailbox_provider(address) == expected


@given(st.text())
def test_any_text_has_a_provider_or_none(text):
    assert mailbox_provider(text) in {"", *Mailbox.values}
