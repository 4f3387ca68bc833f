import pytest
from django.core.mail import EmailMessage

from tracking.mail.message_parts import header, parts, unsubscribe_urls


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<https://a.example/u?x=1,2>", {"https://a.example/u?x=1,2"}),
        (
            "<mailto:a@a.example?subject=bye>,\r\n <https://a.example/>",
            {"mailto:a@a.example?subject=bye", "https://a.example/"},
        ),
        ("< https://a.example/ >", {"https://a.example/"}),
        ("https://a.example/", set()),
        ("<", set()),
        (None, set()),
    ],
)
def test_urls_of_list_unsubscribe(value, expected):
    headers = {} if value is None else {"LIST-unsubscribe": value}
    assert unsubscribe_urls(EmailMessage(headers=headers)) == expected


def test_headers_have_names_without_case():
    message = EmailMessage(headers={"x-tracking": " spring "})
    assert header(message, "X-Tracking") == "spring"
    assert header(message, "X-Other") is None


def test_a_message_without_a_body_has_no_parts():
    assert list(parts(EmailMessage())) == []
