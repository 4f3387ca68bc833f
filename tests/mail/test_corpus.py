"""Mails as they are in the wild: only the links and the pixel change, and each link leads there."""

import re

import django
import pytest
from django.core.mail import EmailMultiAlternatives

from tests.support.mail_corpus import CORPUS
from tracking import tokens
from tracking.mail import instrument
from tracking.mail.rewriting import pixel_image

TOKEN = re.compile(r"https://mail\.example/t/([\w-]+)(?![\w.-])")
PIXEL = re.compile(re.escape(pixel_image("https://mail.example/t/X.gif")).replace("X", r"([\w-]+)"))

each_mail = pytest.mark.parametrize("mail", CORPUS, ids=lambda mail: mail.name)


@pytest.fixture(autouse=True)
def base_url(settings):
    settings.TRACKING_BASE_URL = "https://mail.example"


def message_of(mail):
    headers = {"Message-ID": "<1@a.example>", "Date": "Sun, 29 Nov 2026 10:00:00 +0000"}
    message = EmailMultiAlternatives(
        "Spring", "Hello", "a@a.example", ["b@b.example"], headers=headers | dict(mail.headers)
    )
    # Since Django 6.0, Python chooses the transfer encoding by the text.
    message.encoding = (
        mail.encoding if django.VERSION < (6, 0) else mail.encoding and str(mail.encoding)
    )
    message.attach_alternative(mail.html, "text/html")
    message.attach_alternative("<!doctype html><html amp4email></html>", "text/x-amp-html")
    message.attach("tea.html", f"<a href='{mail.name}'>x</a>".encode(), "text/html")
    return message


def parts_of(message):
    """Return the header, the decoded content and the charset of each part as it is sent."""
    sent = message.message()
    boundaries = [part.get_boundary() for part in sent.walk() if part.is_multipart()]
    parts = []
    for part in sent.walk():
        lines = [f"{name}: {value}" for name, value in part.items()]
        for number, boundary in enumerate(boundaries):
            lines = [line.replace(str(boundary), str(number)) for line in lines]
        parts.append((lines, part.get_payload(decode=True), part.get_content_charset()))
    return parts


@each_mail
def test_each_link_leads_where_it_led_and_all_else_stays(mail):
    html = instrument(message_of(mail)).alternatives[0][0]
    urls = [tokens.loads(token, salt=tokens.REDIRECT).url for token in TOKEN.findall(html)]
    assert urls == mail.destinations
    [token] = PIXEL.findall(html)
    tokens.loads(token, salt=tokens.PIXEL)
    before, after = PIXEL.split(html)[::2]
    assert after.startswith(mail.pixel_before)
    assert bool(after) == bool(mail.pixel_before)
    values = iter(mail.values)
    assert TOKEN.sub(lambda _found: next(values), before + after) == mail.html


@each_mail
def test_every_other_part_is_sent_byte_for_byte(mail):
    plain = parts_of(message_of(mail))
    message = instrument(message_of(mail))
    html = message.alternatives[0][0]
    tracked = parts_of(message)
    changed = [pair for pair in zip(plain, tracked, strict=True) if pair[0] != pair[1]]
    [((header, old, charset), (new_header, new, _charset))] = changed
    assert _lines(old.decode(charset)) == _lines(mail.html)
    assert _lines(new.decode(charset)) == _lines(html)
    encoding = "Content-Transfer-Encoding"
    assert [line for line in header if encoding not in line] == [
        line for line in new_header if encoding not in line
    ]


def _lines(text):
    """Return a text as mail keeps it."""
    return re.sub(r"\r\n|\r", "\n", text).rstrip("\n")


def test_the_corpus_is_large_and_each_mail_has_a_name_of_its_own():
    assert len({mail.name for mail in CORPUS}) == len(CORPUS) >= 60
