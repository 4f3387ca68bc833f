import logging
import re
import smtplib
from concurrent.futures import ThreadPoolExecutor

import django
import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, EmailMultiAlternatives

from tests.site.models import Affiliate, Subscriber
from tests.support.processes import free_port
from tests.support.smtp import smtp_server
from tracking.mail import TrackingEmailBackend
from tracking.models import Beacon, Source

pytestmark = pytest.mark.django_db

HTML = '<html><body><p>Grüße <a href="https://shop.example/?a=1&amp;b=2">Shop</a></p></body></html>'
URL = re.compile(r"https://mail\.example/t/([\w-]+?)(?:\.gif)?[\"<\s]")


@pytest.fixture
def server():
    with smtp_server() as (received, port):
        yield received, port


@pytest.fixture
def inbox(server, settings):
    """What a real server receives from the backend, with the settings of this Django."""
    received, port = server
    settings.TRACKING_BASE_URL = "https://mail.example"
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
    return received


def letter(to="anna@a.example", html=HTML, tracking=None, **options):
    message = EmailMultiAlternatives("Spring", "Hello", "shop@shop.example", [to], **options)
    message.attach_alternative(html, "text/html")
    if tracking is not None:
        message.tracking = tracking
    return message


def connection():
    return mail.mailers.default if django.VERSION >= (6, 1) else mail.get_connection()


def html_of(message):
    return message.get_body(("html",)).get_content()


def path_of(url):
    return url.removeprefix("https://mail.example")


def urls(html):
    link = re.search(r'href="(https://mail\.example[^"]+)"', html)[1]
    pixel = re.search(r'src="(https://mail\.example[^"]+\.gif)"', html)[1]
    return link, pixel


def test_an_open_and_a_click_count_for_campaign_and_recipient(inbox, client):
    anna = Subscriber.objects.create()
    message = letter(tracking={"campaign": "spring-letter", "entity": anna, "issue": 7})
    assert message.send() == 1

    [received] = inbox.messages
    link, pixel = urls(html_of(received))
    assert client.get(path_of(pixel)).status_code == 200
    response = client.get(path_of(link))
    assert response["Location"] == "https://shop.example/?a=1&b=2"

    source = Source.objects.get(slug="spring-letter")
    assert source.medium == "email"
    sent, opened, clicked = Beacon.objects.order_by("time", "kind")
    assert [beacon.kind for beacon in (sent, opened, clicked)] == ["sent", "open", "click"]
    for beacon in (sent, opened, clicked):
        assert beacon.source == source
        assert beacon.entity == anna
        assert beacon.data["issue"] == 7
    assert sent.data["message_id"] == received["Message-ID"]
    assert sent.data["recipients"] == 1


def test_a_message_without_a_pixel_says_so(inbox):
    anna = Subscriber.objects.create()
    tracked = {"campaign": "spring", "entity": anna}
    plain = EmailMessage("Tea", "https://shop.example/", to=["anna@mail.example"])
    plain.tracking = tracked
    for message in (letter(tracking={**tracked, "pixel": False}), plain, letter(tracking=tracked)):
        message.send()
    said = [beacon.data.get("pixel") for beacon in Beacon.objects.order_by("time")]
    assert said == [False, False, None]


def test_the_caller_s_message_is_as_before_and_can_be_sent_again(inbox):
    first, second = Subscriber.objects.create(), Subscriber.objects.create()
    message = letter(tracking={"campaign": "spring", "entity": first}, headers={"X-Tag": "1"})
    message.send()
    assert message.alternatives[0][0] == HTML
    assert message.extra_headers == {"X-Tag": "1"}

    message.to = ["ben@b.example"]
    message.tracking = {"campaign": "spring", "entity": second}
    message.send()
    assert len({urls(html_of(received))[0] for received in inbox.messages}) == 2
    assert {beacon.entity for beacon in Beacon.objects.sent()} == {first, second}


@pytest.mark.parametrize("name", ["X-Tracking", "x-tracking"])
def test_a_header_asks_for_tracking_and_is_not_sent(inbox, name):
    letter(headers={name: "spring", "X-Other": "1"}).send()
    [received] = inbox.messages
    assert received["X-Tracking"] is None
    assert received["X-Other"] == "1"
    assert urls(html_of(received))
    assert Beacon.objects.sent().get().source == Source.objects.get(slug="spring")


def test_a_message_that_does_not_ask_goes_out_byte_for_byte(inbox):
    headers = {"Message-ID": "<1@shop.example>", "Date": "Sun, 29 Nov 2026 10:00:00 +0000"}
    letter(headers=headers).send()
    tracked = letter(headers=headers, tracking={"campaign": "spring"})
    tracked.send()
    plain, other = (re.sub(rb"={10,}\d+==", b"", raw) for raw in inbox.raw)
    assert HTML.encode() in inbox.messages[0].get_body(("html",)).get_payload(decode=True)
    assert plain.partition(b"text/html")[0] == other.partition(b"text/html")[0]
    assert Beacon.objects.sent().count() == 1


@pytest.mark.parametrize(
    ("rule", "tracked"),
    [
        ("opt-in", []),
        ("all", ["anna", "ben"]),
        ("tests.site.mail_rules.to_anna", ["anna"]),
    ],
)
def test_the_setting_says_which_messages_are_tracked(inbox, settings, rule, tracked):
    settings.TRACKING_MAIL = rule
    for name in ("anna", "ben"):
        letter(f"{name}@a.example").send()
    assert [
        str(message["To"]).partition("@")[0]
        for message in inbox.messages
        if "https://mail.example" in html_of(message)
    ] == tracked
    assert Beacon.objects.sent().count() == len(tracked)


def test_a_message_can_refuse_the_rule(inbox, settings):
    settings.TRACKING_MAIL = "all"
    letter(tracking=False).send()
    assert "mail.example" not in html_of(inbox.messages[0])


def test_several_recipients_count_for_the_campaign_and_nobody(inbox, caplog):
    anna = Subscriber.objects.create()
    for _ in range(2):
        message = letter(tracking={"campaign": "spring", "entity": anna})
        message.cc = ["ben@b.example"]
        message.send()
    for beacon in Beacon.objects.sent():
        assert beacon.entity is None
        assert beacon.source is not None
        assert beacon.data["recipients"] == 2
    assert [record.message for record in caplog.records if "several recipients" in record.message]


@pytest.mark.parametrize("how", ["attribute", "address"])
def test_a_test_counts_nothing_and_its_links_lead(inbox, client, settings, how):
    options = {"campaign": "spring"}
    if how == "attribute":
        options["test"] = True
    else:
        settings.TRACKING_TEST_RECIPIENTS = ["Anna@A.example"]
    letter("Anna <anna@a.example>", tracking=options).send()
    link, pixel = urls(html_of(inbox.messages[0]))
    assert client.get(path_of(pixel)).status_code == 200
    assert client.get(path_of(link))["Location"] == "https://shop.example/?a=1&b=2"
    assert not Beacon.objects.exists()


def test_many_messages_go_over_one_connection_and_are_recorded_by_one_batch(
    inbox, django_assert_max_num_queries
):
    messages = [letter(f"{number}@a.example", tracking={"campaign": "s"}) for number in range(20)]
    Source.objects.create(name="s", slug="s")
    # The source; one batch of sent messages; savepoints, as the test is a transaction.
    with django_assert_max_num_queries(10):
        assert connection().send_messages(messages) == 20
    assert len(inbox.raw) == Beacon.objects.sent().count() == 20


@pytest.mark.parametrize("number", [1, 3])
def test_a_server_that_does_not_answer(inbox, number):
    backend = connection()
    backend.sender.port = free_port()
    messages = [letter(tracking={"campaign": "s"}) for _ in range(number)]
    with pytest.raises(ConnectionRefusedError):
        backend.send_messages(messages)
    backend.sender.fail_silently = True
    assert backend.send_messages(messages) == 0
    assert not Beacon.objects.exists()


def test_threads_share_a_connection(inbox):
    backend = connection()

    def send(number):
        messages = [
            letter(f"{number}-{each}@a.example", tracking={"test": True}) for each in (1, 2)
        ]
        return backend.send_messages(messages)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(40))) == [2] * 40
    assert len({message["To"] for message in inbox.messages}) == len(inbox.raw) == 80


def test_messages_that_went_out_before_a_failure_are_recorded(inbox):
    inbox.refused = {"bad@a.example"}
    messages = [
        letter(to, tracking={"campaign": "s", "to": to})
        for to in ("1@a.example", "2@a.example", "bad@a.example", "3@a.example")
    ]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        connection().send_messages(messages)
    assert [beacon.data["to"] for beacon in Beacon.objects.sent().order_by("time")] == [
        "1@a.example",
        "2@a.example",
    ]
    assert messages[2].alternatives[0][0] == HTML


def test_messages_that_are_silently_refused_are_not_recorded(inbox):
    inbox.refused = {"bad@a.example"}
    messages = [
        letter(to, tracking={"campaign": "s", "to": to})
        for to in ("1@a.example", "bad@a.example", "3@a.example")
    ]
    backend = connection()
    backend.sender.fail_silently = True
    assert backend.send_messages(messages) == 2
    assert {beacon.data["to"] for beacon in Beacon.objects.sent()} == {"1@a.example", "3@a.example"}


@pytest.mark.filterwarnings("ignore:.*'fail_silently' argument", "ignore:get_connection")
def test_who_asks_for_silence_gets_no_error(inbox):
    inbox.refused = {"anna@a.example"}
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        letter().send()
    assert letter().send(fail_silently=True) == 0


@pytest.mark.parametrize(
    "tracking",
    [
        {"campaign": "spring", "entity": Affiliate()},  # not saved
        {"campaign": "spring", "value": object()},
        7,
    ],
)
def test_a_message_goes_out_untracked_if_something_fails(inbox, caplog, tracking):
    letter(tracking=tracking).send()
    assert html_of(inbox.messages[0]).strip() == HTML
    assert not Beacon.objects.sent().exists()
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "without tracking" in record.message
    assert record.exc_info is None


def test_without_a_base_url_links_would_lead_nowhere(inbox, settings, caplog):
    settings.TRACKING_BASE_URL = ""
    letter(tracking={"campaign": "spring"}).send()
    assert html_of(inbox.messages[0]).strip() == HTML
    assert "TRACKING_BASE_URL" in caplog.text


def test_a_message_goes_out_if_the_database_fails(inbox, monkeypatch, caplog):
    def fail(hits):
        raise OSError("disk full")

    monkeypatch.setattr(
        "tracking.backends.immediate.ImmediateBackend.send_many", fail, raising=True
    )
    assert letter(tracking={"campaign": "spring"}).send() == 1
    assert len(inbox.raw) == 1
    assert "Recording 1 sent messages" in caplog.text


def test_a_plain_message_is_left_alone_unless_asked(inbox):
    text = "Look: https://shop.example/a?b=1, or https://shop.example/unsubscribe."
    for options in ({}, {"text": True}):
        message = EmailMessage("Spring", text, "a@a.example", ["b@b.example"])
        message.tracking = {"campaign": "spring", **options}
        message.send()
    first, second = (message.get_content() for message in inbox.messages)
    assert first.strip() == text
    assert re.fullmatch(
        r"Look: https://mail\.example/t/[\w-]+, or https://shop\.example/unsubscribe\.",
        second.strip(),
    )


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="MAILERS take the place of this setting")
@pytest.mark.parametrize(
    ("path", "sentence"),
    [("tracking.mail.TrackingEmailBackend", "itself"), ("no.such", "cannot be imported")],
)
def test_a_wrong_backend_that_sends_is_an_error(settings, path, sentence):
    settings.TRACKING_MAIL_BACKEND = path
    with pytest.raises(ImproperlyConfigured, match=sentence):
        TrackingEmailBackend()


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS are new in Django 6.1")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [({}, "'mailer'"), ({"mailer": "default"}, "'mailer'"), ({"mailer": "x", "y": 1}, "'y'")],
)
def test_wrong_options_of_mailers_are_an_error(settings, options, sentence):
    settings.MAILERS = {
        "default": {"BACKEND": "tracking.mail.TrackingEmailBackend", "OPTIONS": options},
        "x": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
    }
    with pytest.raises(mail.InvalidMailer, match=sentence):
        mail.mailers["default"].open()
