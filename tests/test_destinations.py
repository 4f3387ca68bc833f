import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking.destinations import BadDestination, clean_destination


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/",
        "http://shop.example:8080/a%20b?c=d&e=%7C|f#g",
        "https://user@shop.example/",
        "https://[2001:db8::1]/x",
        "/products/1/?a=//b",
        "/",
    ],
)
def test_destinations_are_kept_byte_for_byte(url):
    assert clean_destination(url) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example/a b", "https://shop.example/a%20b"),
        ("https://shop.example/größe", "https://shop.example/gr%C3%B6%C3%9Fe"),
        ("/größe", "/gr%C3%B6%C3%9Fe"),
        (" https://shop.example/ ", "https://shop.example/"),
        ("  /path", "/path"),
    ],
)
def test_what_http_cannot_carry_is_encoded(url, expected):
    assert clean_destination(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "mailto:a@b.example",
        "ftp://shop.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "https://",
        "https:///path",
        "https:path",
        "shop.example/",
        "products/1/",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\0",
        "\thttps://shop.example/",
        "https://[::1",
        " javascript:alert(1)",
        " //evil.example/",
        "\u00a0https://shop.example/",
    ],
)
def test_other_places_are_refused(url):
    with pytest.raises(BadDestination):
        clean_destination(url)


@given(url=st.text(max_size=60) | st.text(max_size=40).map("https://a.example/".__add__))
@example(url="https://a.example\u2100/")
@example(url=" https://a.example/")
def test_whatever_is_accepted_fits_into_a_header(url):
    try:
        result = clean_destination(url)
    except BadDestination:
        return
    assert result.isascii()
    assert result.isprintable()
    assert " " not in result
    assert result.startswith(("http://", "https://", "/"))
    assert not result.startswith(("//", "/\\"))
