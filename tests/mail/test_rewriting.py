import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.mail_html import soup
from tracking.mail.html_links import find_links
from tracking.mail.rewriting import add_utm, pixel_image, rewrite


class Shortener:
    """Gives each destination a short URL, and knows which one it stands for."""

    def __init__(self):
        self.destinations = []

    def __call__(self, destination):
        self.destinations.append(destination)
        return f"https://t.example/{len(self.destinations)}?a=1&b=2"


def rewritten(html, **options):
    shortener = Shortener()
    return rewrite(html, shortener, **options), shortener.destinations


def test_only_the_value_changes():
    html = "<TABLE><A  HREF = 'https://a.example/?a=1&amp;b=2' Class=x>Buy &amp; go</A ><br/>"
    result, destinations = rewritten(html)
    assert result == html.replace(
        "https://a.example/?a=1&amp;b=2", "https://t.example/1?a=1&amp;b=2"
    )
    assert destinations == ["https://a.example/?a=1&b=2"]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:anna@a.example">x</a>',
        '<a href="tel:+49123">x</a>',
        '<a href="sms:+49123">x</a>',
        '<a href="#top">x</a>',
        '<a href="/relative">x</a>',
        '<a href="//a.example/">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="app://open">x</a>',
        '<a href="https://a.example/" data-no-track>x</a>',
        '<a DATA-NO-TRACK="1" href="https://a.example/">x</a>',
        '<a href="https://a.example/{{ path }}">x</a>',
        '<a href="https://a.example/{% url x %}">x</a>',
        '<a href="https://a.example/%7B%7B%20path%20%7D%7D">x</a>',
        '<a href="https://a.example/*|PATH|*">x</a>',
        '<a href="https://a.example/%recipient.id%">x</a>',
        '<a href="https://a.example/%%id%%">x</a>',
        '<a href="https://a.example/unsubscribe?u=1">x</a>',
        '<a href="https://a.example/newsletter/abmelden/">x</a>',
        '<a href="https://a.example/x">Hier <b>abbestellen</b></a>',
        '<a href="https://a.example/x">Se d&eacute;sabonner: désabonner</a>',
        '<a href="https://a.example/x">UNSUBSCRIBE</a>',
        '<a href="https://a.example/x">opt-out</a>',
    ],
)
def test_left_alone(html):
    assert rewritten(html) == (html, [])


def test_the_text_of_another_link_does_not_keep_this_one():
    html = '<a href="https://a.example/">Buy</a> <a href="https://b.example/">unsubscribe</a>'
    assert rewritten(html)[1] == ["https://a.example/"]


def test_links_of_list_unsubscribe_are_left_alone():
    html = '<a href="https://a.example/bye">x</a><a href="https://a.example/b">x</a>'
    assert rewritten(html, unsubscribe_urls={"https://a.example/bye"})[1] == ["https://a.example/b"]


def test_a_link_for_which_there_is_no_url_stays():
    html = '<a href="https://a.example/">x</a><a href="https://b.example/">x</a>'
    result = rewrite(html, lambda url: "https://t.example/" if "b." in url else None)
    assert result == '<a href="https://a.example/">x</a><a href="https://t.example/">x</a>'


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html><body><p>x</p></body></html>", "<html><body><p>x</p>{}</body></html>"),
        ("<p>x</p>", "<p>x</p>{}"),
        ("", "{}"),
        ("<p>x</p></html>", "<p>x</p></html>{}"),
        ("<body><!-- </body> --></BODY>\n", "<body><!-- </body> -->{}</BODY>\n"),
        ("<p>x<!--[if mso]></body><![endif]-->", "<p>x<!--[if mso]></body><![endif]-->{}"),
        ("<p>x<!--[if mso]></p><![endif]", "<p>x{}<!--[if mso]></p><![endif]"),
        ("<p>x<style>a{b:c}", "<p>x{}<style>a{{b:c}}"),
        ('<p>x<a href="https://a.example/></body>', '<p>x{}<a href="https://a.example/></body>'),
        ("<p>x<a title='x>", "<p>x{}<a title='x>"),
        ("<p>x<!x", "<p>x{}<!x"),
        ("<p>x<a", "<p>x{}<a"),
        ("<p>x<plaintext></body>", "<p>x{}<plaintext></body>"),
        ("<p>x <", "<p>x <{}"),
    ],
)
def test_the_pixel_stands_at_the_end_of_the_body(html, expected):
    pixel = "https://t.example/p.gif"
    assert rewritten(html, pixel=pixel)[0] == expected.format(pixel_image(pixel))


def test_a_link_after_the_body_does_not_disturb_the_pixel():
    html = '<body></body><a href="https://a.example/">x</a>'
    result, _ = rewritten(html, pixel="https://t.example/p.gif")
    assert result.count("<img") == 1
    assert result.index("<img") < result.index("</body>") < result.index("https://t.example/1")


@given(soup())
@example("<a href=https://a.example/>")
@example('<a href="https://a.example/"href="https://b.example/"></body><a href=https://c.example/>')
def test_every_byte_but_the_values_and_the_pixel_stays(html):
    pixel = pixel_image("https://t.example/p.gif")
    result, destinations = rewritten(html, pixel="https://t.example/p.gif")
    assert result.count(pixel) == 1
    restored = result.replace(pixel, "")
    before, after = find_links(html).links, find_links(restored).links
    for old, new in reversed(list(zip(before, after, strict=True))):
        restored = restored[: new.start] + html[old.start : old.end] + restored[new.end :]
    assert restored == html
    changed = [old for old, new in zip(before, after, strict=True) if old[2] != new[2]]
    assert [link.destination for link in changed] == destinations


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/", "https://a.example/?utm_source=letter"),
        ("https://a.example/#top", "https://a.example/?utm_source=letter#top"),
        ("https://a.example/?", "https://a.example/?utm_source=letter"),
        ("https://a.example/?b=%7e&c", "https://a.example/?b=%7e&c&utm_source=letter"),
        ("https://a.example/?b&", "https://a.example/?b&utm_source=letter"),
        ("https://a.example/?UTM_Source=", "https://a.example/?UTM_Source="),
        (
            "https://a.example/#a?utm_source=x",
            "https://a.example/?utm_source=letter#a?utm_source=x",
        ),
    ],
)
def test_utm_parameters_are_added_once_before_the_fragment(url, expected):
    parameters = {"utm_source": "letter", "utm_term": ""}
    assert add_utm(url, parameters) == expected
    assert add_utm(expected, parameters) == expected


@given(st.text(st.characters(exclude_characters="#")), st.text(min_size=1))
def test_utm_parameters_leave_the_url_as_it_is(rest, source):
    url = f"https://a.example/{rest}"
    result = add_utm(url, {"utm_source": source})
    assert result.startswith(url)
    assert add_utm(result, {"utm_source": source}) == result
