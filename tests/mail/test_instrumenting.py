import re

import css_inline
import premailer
import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import EmailAlternative

from tests.site.models import Subscriber
from tracking import tokens
from tracking.mail import instrument
from tracking.mail.html_links import find_links
from tracking.models import Source

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def base_url(settings):
    settings.TRACKING_BASE_URL = "https://mail.example"


def message_of(html, **options):
    message = EmailMultiAlternatives("Spring", "Hello", "a@a.example", ["b@b.example"], **options)
    message.attach_alternative(html, "text/html")
    return message


def html_of(message):
    return message.alternatives[0][0]


def destinations(html):
    found = re.findall(r"https://mail\.example/t/([\w-]+)[\"'\s>]", html)
    return [tokens.loads(token, salt=tokens.REDIRECT).url for token in found]


def pixels(html):
    return re.findall(r"https://mail\.example/t/([\w-]+)\.gif", html)


def test_a_second_call_changes_nothing():
    message = message_of('<a href="https://shop.example/">x</a>')
    assert instrument(message, campaign="spring") is message
    once = html_of(message)
    assert instrument(message, campaign="spring") is message
    assert html_of(message) == once
    assert destinations(once) == ["https://shop.example/"]


def test_what_a_template_has_tagged_is_not_tagged_again():
    html = (
        '<a href="https://mail.example/t/to/7">x</a><img src="https://mail.example/t/from/x.gif">'
    )
    message = instrument(message_of(html), campaign="spring")
    assert html_of(message) == html


def test_links_carry_source_recipient_and_data():
    reader = Subscriber.objects.create()
    message = instrument(
        message_of("<a href='https://shop.example/'>x</a>"),
        campaign="Spring letter",
        entity=reader,
        variant="b",
    )
    [pixel] = pixels(html_of(message))
    payload = tokens.loads(pixel, salt=tokens.PIXEL)
    assert payload.kwargs == {"variant": "b"}
    assert payload.entity.pk == str(reader.pk)
    assert payload.source.pk == str(Source.objects.get(slug="spring-letter").pk)


def test_every_html_part_gets_a_pixel_and_other_parts_stay():
    message = message_of("<p>1</p>")
    message.attach_alternative("<html amp4email><a href=https://a.example/>", "text/x-amp-html")
    message.attach_alternative("<p>2</p>", "text/html; charset=utf-8")
    message.attach_alternative("BEGIN:VCALENDAR", "text/calendar")
    message.attach("page.html", "<a href=https://a.example/>x</a>", "text/html")
    before = list(message.alternatives)
    instrument(message, campaign="spring")
    changed = [old != new for old, new in zip(before, message.alternatives, strict=True)]
    assert changed == [True, False, True, False]
    assert message.attachments[0][1] == "<a href=https://a.example/>x</a>"
    message.message()


def test_a_body_that_is_html():
    message = message_of("")
    message.alternatives.clear()
    message.body, message.content_subtype = "<a href=https://a.example/>ü</a>", "html"
    instrument(message, campaign="spring")
    assert destinations(message.body) == ["https://a.example/"]
    assert "ü" in message.message().get_payload(decode=True).decode()


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "iso-2022-jp", "utf-16"])
def test_bytes_and_charsets(charset):
    text = "日本" if charset == "iso-2022-jp" else "Grüße"
    html = f"<body>{text} <a href=https://a.example/>x</a></body>"
    message = message_of("")
    message.encoding = charset
    message.alternatives[:] = [EmailAlternative(html.encode(charset), "text/html")]
    instrument(message, campaign="spring")
    result = html_of(message).decode(charset)
    assert result.startswith(f"<body>{text} <a href=https://mail.example/t/")
    assert destinations(result) == ["https://a.example/"]


def test_bytes_in_another_charset_go_out_as_they_are(caplog):
    message = message_of("")
    html = "<a href=https://a.example/>Grüße</a>".encode("iso-8859-1")
    message.alternatives[:] = [EmailAlternative(html, "text/html")]
    instrument(message, campaign="spring")
    assert html_of(message) == html
    assert "without tracking" in caplog.text


def test_utm_parameters():
    message = instrument(
        message_of('<a href="https://a.example/?b=1&amp;utm_source=own#c">x</a>'),
        campaign="spring",
        utm={"utm_source": "letter", "utm_medium": "email"},
    )
    assert destinations(html_of(message)) == [
        "https://a.example/?b=1&utm_source=own&utm_medium=email#c"
    ]


def test_list_unsubscribe_is_not_redirected():
    headers = {"list-unsubscribe": "<mailto:x@a.example>, <https://a.example/bye?x=1&y=2>"}
    message = message_of(
        '<a href="https://a.example/bye?x=1&amp;y=2">bye</a><a href="https://a.example/">x</a>',
        headers=headers,
    )
    instrument(message, campaign="spring")
    assert destinations(html_of(message)) == ["https://a.example/"]
    assert message.extra_headers == headers


def test_a_link_that_is_too_long_for_a_token_stays(caplog):
    long = "https://a.example/?" + "x" * 4_000
    message = instrument(
        message_of(f'<a href="{long}">x</a><a href="https://a.example/">y</a>'), campaign="spring"
    )
    assert f'href="{long}"' in html_of(message)
    assert destinations(html_of(message)) == ["https://a.example/"]
    assert "stays as it is" in caplog.text


def test_parts_that_are_not_wanted():
    html = '<a href="https://a.example/">x</a>'
    without_pixel = html_of(instrument(message_of(html), pixel=False))
    without_links = html_of(instrument(message_of(html), links=False))
    assert not pixels(without_pixel)
    assert destinations(without_pixel) == ["https://a.example/"]
    assert without_links.startswith(html)
    assert pixels(without_links)


_STYLED = """<html><head><style>a { color: red } .b { padding: 1px }</style></head><body>
<a class="b" href="https://a.example/?x=1&amp;y=2&copy=3">Buy</a>
<a href="mailto:a@a.example">Write</a>
<a href="https://a.example/{{ path }}">Later</a></body></html>"""


@pytest.mark.parametrize(
    "inline",
    [
        css_inline.inline,
        lambda html: premailer.transform(html, disable_validation=True),
    ],
    ids=["css-inline", "premailer"],
)
def test_after_tools_that_inline_styles(inline):
    html = inline(_STYLED)
    message = instrument(message_of(html), campaign="spring")
    [before] = [link for link in find_links(html).links if "?x" in link.destination]
    assert destinations(html_of(message)) == [before.destination]


def test_a_large_mail():
    html = "<table>" + '<tr><td><a href="https://a.example/">x</a></td></tr>' * 60_000 + "</table>"
    message = instrument(message_of(html), campaign="spring")
    assert len(destinations(html_of(message))) == 60_000
