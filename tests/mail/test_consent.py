"""Mails to recipients who have not agreed, and the headers to unsubscribe."""

import re

import pytest
from django.core.mail import EmailMultiAlternatives

from tests.site.models import Subscriber
from tests.support.smtp import smtp_server
from tracking import mail, recipient_consent
from tracking.models import Beacon
from tracking.recipient_consent import address_key
from tracking.signals import unsubscribed

pytestmark = pytest.mark.django_db

SHOP = "https://shop.example/?a=1&amp;b=2"
HTML = f'<html><body><p><a href="{SHOP}">Shop</a></p></body></html>'


@pytest.fixture(autouse=True)
def site(settings):
    settings.TRACKING_BASE_URL = "https://mail.example"
    settings.TRACKING_MAIL_CONSENT = "unless-denied"


@pytest.fixture
def anna():
    return Subscriber.objects.create(email="anna@a.example")


def letter(*to, html=HTML):
    message = EmailMultiAlternatives("Spring", "Hello", "shop@shop.example", list(to))
    message.attach_alternative(html, "text/html")
    return message


def instrumented(*to, **options):
    message = mail.instrument(letter(*to), campaign="spring", **options)
    return message.alternatives[0][0]


def has(html):
    pixel, link = "<img" in html, SHOP not in html
    return pixel, link


@pytest.mark.parametrize("by", ["row", "address"])
def test_who_denied_gets_no_pixel_and_raw_links(anna, by):
    who = anna if by == "row" else "ANNA@A.example"
    assert has(instrumented(anna.email, entity=anna)) == (True, True)
    recipient_consent.deny(who, clicks=False)
    assert has(instrumented(anna.email, entity=anna)) == (False, True)
    recipient_consent.deny(who)
    assert instrumented(anna.email, entity=anna) == HTML
    recipient_consent.grant(who, opens=False)
    assert has(instrumented(anna.email, entity=anna)) == (False, True)


def test_a_mail_to_an_address_can_be_silenced_later(client):
    html = instrumented("anna@a.example")
    paths = re.findall(r"https://mail\.example(/t/[^\"]+)", html)
    assert len(paths) == 2
    for path in paths:
        client.get(path)
    assert sorted(Beacon.objects.values_list("kind", flat=True)) == ["click", "open"]
    assert not Beacon.objects.exclude(entity_id=None).exists()
    assert all(beacon.data == {} for beacon in Beacon.objects.all()), "the digest is not stored"
    recipient_consent.withdraw("Anna@A.example")
    assert client.get(paths[0]).status_code in {200, 302}
    assert client.get(paths[1]).status_code in {200, 302}
    assert Beacon.objects.count() == 2


def test_only_who_agreed_is_tracked_if_the_site_asks(anna, settings):
    settings.TRACKING_MAIL_CONSENT = "if-granted"
    assert instrumented(anna.email, entity=anna) == HTML
    assert instrumented("ben@a.example") == HTML
    recipient_consent.grant(anna, opens=False)
    assert has(instrumented(anna.email, entity=anna)) == (False, True)
    recipient_consent.grant("ben@a.example")
    assert has(instrumented("ben@a.example")) == (True, True)


def test_a_mail_to_several_has_what_all_agree_to(settings):
    recipient_consent.deny("anna@a.example", clicks=False)
    assert has(instrumented("ben@a.example", "anna@a.example")) == (False, True)
    assert has(instrumented("ben@a.example", "cleo@a.example")) == (True, True)
    settings.TRACKING_MAIL_CONSENT = "if-granted"
    recipient_consent.grant("ben@a.example")
    assert has(instrumented("ben@a.example", "cleo@a.example")) == (False, False)


def test_a_site_that_has_not_chosen_gets_tokens_as_before(settings, anna):
    del settings.TRACKING_MAIL_CONSENT
    instrumented("anna@a.example")
    assert address_key.find("default") is None
    recipient_consent.deny(anna)
    assert instrumented(anna.email, entity=anna) == HTML


def test_links_to_our_own_pages_are_not_tracked(anna):
    from tracking import links

    html = "".join(
        f'<a href="{url}">x</a>'
        for url in (links.preferences_url(anna), links.unsubscribe_url(anna))
    )
    message = mail.instrument(letter(anna.email, html=html), entity=anna, pixel=False)
    assert message.alternatives[0][0] == html


@pytest.fixture
def listener():
    def receive(**_):
        """What a site does when somebody unsubscribes."""

    unsubscribed.connect(receive, weak=False)
    yield
    unsubscribed.disconnect(receive)


def headers(message):
    return {k: v for k, v in message.extra_headers.items() if k.startswith("List-")}


@pytest.mark.usefixtures("listener")
def test_headers_to_unsubscribe_are_added_where_asked_and_missing(anna, settings):
    message = mail.instrument(letter(anna.email), entity=anna)
    assert headers(message) == {}
    mail.instrument(message, entity=anna, unsubscribe=True)
    found = headers(message)
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = found["List-Unsubscribe"]
    assert re.fullmatch(r"<https://mail\.example/t/unsubscribe/[\w-]+>", url)
    mail.instrument(message, entity=anna, unsubscribe=True)
    assert headers(message) == found, "a second call changes nothing"

    own = letter(anna.email)
    own.extra_headers = {"list-unsubscribe": "<https://shop.example/bye>"}
    mail.instrument(own, entity=anna, unsubscribe=True)
    assert own.extra_headers == {"list-unsubscribe": "<https://shop.example/bye>"}

    several = mail.instrument(letter("a@a.example", "b@a.example"), unsubscribe=True)
    assert headers(several) == {}

    settings.TRACKING_BASE_URL = "http://mail.example"
    plain = mail.instrument(letter(anna.email), unsubscribe=True)
    assert list(headers(plain)) == ["List-Unsubscribe"], "one click needs https"


def test_headers_that_nothing_would_answer_are_not_added(anna, caplog):
    message = mail.instrument(letter(anna.email), entity=anna, unsubscribe=True)
    assert headers(message) == {}
    assert "unsubscribed" in caplog.text


@pytest.mark.usefixtures("listener")
def test_what_a_server_receives(settings, anna, client):
    import django

    recipient_consent.deny(anna, opens=False)
    with smtp_server() as (received, port):
        if django.VERSION >= (6, 1):
            settings.MAILERS = {
                "default": {
                    "BACKEND": "tracking.mail.TrackingEmailBackend",
                    "OPTIONS": {"mailer": "smtp"},
                },
                "smtp": {
                    "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                    "OPTIONS": {"host": "127.0.0.1", "port": port},
                },
            }
        else:
            settings.EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        message = letter(anna.email)
        message.tracking = {"campaign": "spring", "entity": anna, "unsubscribe": True}
        message.send()
        [arrived] = received.messages
    url = re.sub(r"\s", "", arrived["List-Unsubscribe"]).strip("<>")
    assert url.startswith("https://mail.example/t/unsubscribe/")
    path = url.removeprefix("https://mail.example")
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "List-Unsubscribe" not in message.extra_headers
    assert Beacon.objects.get(kind="sent").data["untracked"] == ["clicks"]
