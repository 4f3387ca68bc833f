import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mail_html import soup
from tracking.mail.html_links import decode_attribute, find_links


def destinations(html):
    return [link.destination for link in find_links(html).links]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="https://a.example/">x</a>', ["https://a.example/"]),
        ("<A HREF='https://a.example/'>x</A>", ["https://a.example/"]),
        ("<a href=https://a.example/?a=1&b=2>x</a>", ["https://a.example/?a=1&b=2"]),
        ("<a\n\thref\n=\n'https://a.example/'\n/>x", ["https://a.example/"]),
        ('<a class="b"href="https://a.example/">x</a>', ["https://a.example/"]),
        ('<area shape=rect href="https://a.example/">', ["https://a.example/"]),
        ('<a href="\n https://a.example/\n  page ">x</a>', ["https://a.example/  page"]),
        ('<a title="a > b" href="https://a.example/">x</a>', ["https://a.example/"]),
        ("<a title=it's href=https://a.example/>it's</a>", ["https://a.example/"]),
        # the first of two counts, as in browsers
        ('<a href="https://a.example/" href="https://b.example/">x</a>', ["https://a.example/"]),
        ('<a href>x</a><a href="">x</a><a>x</a>', [""]),
        # no links of the reader
        ('<link href="https://a.example/"><base href="https://b.example/">', []),
        ('<abbr href="https://a.example/">x</abbr>', []),
        ('<p data-href="https://a.example/"><a data-href="https://a.example/">', []),
        # a link's look-alike in texts, comments and other attributes
        ('<img alt="<a href=https://a.example/>">', []),
        ("<style>a::after { content: '<a href=https://a.example/>' }</style>", []),
        ('<script>"<a href=https://a.example/>"</script >', []),
        ("<title><a href=https://a.example/></title><textarea><a href=https://b.example/>", []),
        ("<!-- <a href=https://a.example/> -->", []),
        ("<!--><a href=https://a.example/>", ["https://a.example/"]),
        ("<!-- --!><a href=https://a.example/>", ["https://a.example/"]),
        ("<!-- <a href=https://a.example/>", []),
        ("<? <a href=https://a.example/>", []),
        ("<3 <a href=https://a.example/>", ["https://a.example/"]),
        ("</ <a href=https://a.example/>", []),
        ("<a href=https://a.example/", []),
        # Outlook
        (
            (
                "<!--[if mso]><v:roundrect href='https://a.example/'><center>Buy</center></v:roundrect>"
                "<![endif]--><a href='https://b.example/'>Buy</a>"
            ),
            ["https://a.example/", "https://b.example/"],
        ),
        (
            "<!--[if !mso]><!--><a href='https://a.example/'>x</a><!--<![endif]-->",
            ["https://a.example/"],
        ),
        ("<![if !mso]><a href='https://a.example/'>x</a><![endif]>", ["https://a.example/"]),
        (
            '<!--[if mso]><a href="https://a.example/ ><![endif]--><a href="https://b.example/">',
            ["https://b.example/"],
        ),
        ("<noscript><a href=https://a.example/></noscript>", ["https://a.example/"]),
    ],
)
def test_links_are_found_where_browsers_and_outlook_find_them(html, expected):
    assert destinations(html) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://a.example/?a=1&amp;b=2", "https://a.example/?a=1&b=2"),
        ("?a=1&b=2&copy=3&reg=4&lt=5", "?a=1&b=2&copy=3&reg=4&lt=5"),
        ("?a=1&copyright=2&notit;", "?a=1&copyright=2&notit;"),
        ("?x=&copy", "?x=©"),
        ("?x=&copy;=", "?x=©="),
        ("?x=&copy.", "?x=©."),
        ("&#47;&#x2f;&#X2F;&#47", "////"),
        ("&unknown;&", "&unknown;&"),
        ("&&amp;amp;", "&&amp;"),
        ("a&#x1F600;", "a😀"),
    ],
)
def test_character_references_are_decoded_as_in_attributes(value, expected):
    assert decode_attribute(value) == expected


def test_the_last_end_of_the_body_counts_outside_of_comments_and_scripts():
    html = "<body></body><!-- </body> --></BODY ><script>'</body>'</script></html>"
    assert find_links(html).body_end == html.index("</BODY")
    assert find_links("<p>no body").body_end == len("<p>no body")


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<a/",
        '<a href="',
        "<a x='",
        "<!",
        "</",
        "<!--",
        "<!--[if mso]>",
        "<script>",
        "&",
    ],
)
def test_no_mail_takes_more_steps_than_it_has_letters(piece):
    # A search that begins again at each piece would take hours here.
    html = f'<a href="https://a.example/">{piece * (2_000_000 // len(piece))}'
    assert find_links(html).links[0].destination == "https://a.example/"


@given(soup())
def test_spans_hold_the_values_in_any_html(html):
    for link in find_links(html).links:
        assert 0 <= link.start <= link.end < link.text_start <= len(html)
        assert html[link.text_start - 1] == ">"


@given(st.text())
def test_any_text_is_read(html):
    find_links(html)
    decode_attribute(html)
