"""The mail goes out, once and as it is, whatever fails: in the message, around it, and after it."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import django
import pytest
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import EmailAlternative
from django.db import connection, transaction
from django.utils.translation import gettext_lazy

from tests.site.models import Affiliate, Subscriber
from tests.support.mail_backends import Odd
from tracking.mail import instrument
from tracking.models import Beacon, Source

pytestmark = pytest.mark.django_db

HTML = '<p>Hi <a href="https://shop.example/">Shop</a></p>'


@pytest.fixture
def use(settings, monkeypatch):
    """Send by a class, and return what it has sent."""
    settings.TRACKING_BASE_URL = "https://mail.example"
    monkeypatch.setattr(Odd, "sent", [])

    def use(name="Odd", **attributes):
        for attribute, value in attributes.items():
            monkeypatch.setattr(Odd, attribute, staticmethod(value) if callable(value) else value)
        path = f"tests.support.mail_backends.{name}"
        if django.VERSION >= (6, 1):
            settings.MAILERS = {
                "default": {
                    "BACKEND": "tracking.mail.TrackingEmailBackend",
                    "OPTIONS": {"mailer": "odd"},
                },
                "odd": {"BACKEND": path},
            }
        else:
            settings.EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
            settings.TRACKING_MAIL_BACKEND = path
        return Odd.sent

    return use


@pytest.fixture
def sent(use):
    return use()


def backend():
    return mail.mailers.default if django.VERSION >= (6, 1) else mail.get_connection()


def letter(
    html=HTML, to=("anna@a.example",), kind=EmailMultiAlternatives, tracking=None, **options
):
    message = kind("Spring", "Hello", "shop@shop.example", list(to), **options)
    message.attach_alternative(html, "text/html")
    message.tracking = {"campaign": "spring"} if tracking is None else tracking
    return message


def plain(**tracking):
    message = EmailMessage("Spring", "Hello", "shop@shop.example", ["anna@a.example"])
    message.tracking = {"campaign": "spring", **tracking}
    return message


def html_of(message):
    return str(message.alternatives[0][0])


def is_tracked(message):
    return "https://mail.example/t/" in html_of(message)


# The sender.


@pytest.mark.parametrize(
    ("answer", "number", "recorded"),
    [
        ([object()], 2, 2),  # a list of jobs, as django-celery-email returns
        (True, 2, 2),
        (None, 0, 0),
        (0, 0, 0),
        ([], 0, 0),
        ("queued", 2, 2),
    ],
)
def test_all_messages_are_handed_on_whatever_the_sender_returns(use, answer, number, recorded):
    sent = use(answer=answer)
    assert backend().send_messages([letter(), letter()]) == number
    assert len(sent) == 2
    assert Beacon.objects.sent().count() == recorded


def test_what_went_out_is_recorded_if_the_connection_fails_to_close(use):
    sent = use("FailsToClose")
    with pytest.raises(ConnectionResetError):
        backend().send_messages([letter(), letter()])
    assert len(sent) == Beacon.objects.sent().count() == 2


def test_a_long_mailing_is_recorded_while_it_is_sent(use, monkeypatch):
    recorded = []
    use(on_send=lambda message: recorded.append(Beacon.objects.sent().count()))
    monkeypatch.setattr("tracking.mail.backend.RECORDED_AT_ONCE", 3)
    assert backend().send_messages([letter() for _ in range(8)]) == 8
    assert recorded == [0, 0, 0, 3, 3, 3, 6, 6]
    assert Beacon.objects.sent().count() == 8


def test_what_the_sender_notes_at_a_message_is_there_for_the_caller(use):
    def note(message):
        message.anymail_status = "queued"
        message.body = "changed"

    use(on_send=note)
    message = letter()
    message.send()
    assert message.anymail_status == "queued"
    assert message.body == "Hello"


def test_what_the_sender_notes_is_there_if_it_raises(use):
    def refuse(message):
        message.anymail_status = "rejected"
        raise OSError("refused")

    use(on_send=refuse)
    message = letter()
    with pytest.raises(OSError, match="refused"):
        message.send()
    assert message.anymail_status == "rejected"
    assert not Beacon.objects.exists()


def test_a_message_that_is_sent_by_two_tracking_backends_is_recorded_once(use):
    sent = use()
    letter().send()
    [first] = sent
    pickle.loads(pickle.dumps(first)).send()  # as by a worker, which has the same settings
    assert html_of(sent[1]) == html_of(first)
    assert Beacon.objects.sent().count() == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_messages_go_out_by_a_backend_that_connects_when_it_sends(sent, number):
    assert backend().send_messages([letter() for _ in range(number)]) == number
    assert len(sent) == number


# The message.


class ReadOnly(EmailMultiAlternatives):
    """Builds its parts anew each time."""

    @property
    def alternatives(self):
        return [EmailAlternative(HTML, "text/html")]

    @alternatives.setter
    def alternatives(self, value):
        if value:
            raise AttributeError("read-only")

    def attach_alternative(self, content, mimetype):
        pass


class Frozen(EmailMultiAlternatives):
    """Takes no new values once it is complete."""

    def __setattr__(self, name, value):
        if "tracking" in vars(self) and name != "connection":  # Django sets it
            raise AttributeError("frozen")
        super().__setattr__(name, value)


class CannotBeCopied(EmailMultiAlternatives):
    def __copy__(self):
        raise TypeError("cannot be copied")


@pytest.mark.parametrize("kind", [ReadOnly, Frozen, CannotBeCopied])
def test_a_message_that_cannot_be_changed_goes_out_as_it_is(sent, caplog, kind):
    message = letter(kind=kind)
    assert message.send() == 1
    assert html_of(sent[0]) == HTML
    assert sent[0].body == "Hello"
    assert not Beacon.objects.sent().exists()
    assert len([record for record in caplog.records if "without tracking" in record.message]) == 1


def test_copies_of_a_message_get_links_of_their_own(sent):
    readers = [Subscriber.objects.create() for _ in range(3)]
    prototype = letter()
    for reader in readers:
        message = copy.copy(prototype)
        message.tracking = {"campaign": "spring", "entity": reader}
        message.send()
    assert len({html_of(message) for message in sent}) == 3
    assert html_of(prototype) == HTML


def test_instrumented_copies_of_a_message_get_links_of_their_own(sent):
    prototype = letter()
    messages = [copy.copy(prototype) for _ in range(2)]
    for message in messages:
        instrument(message, campaign="spring", entity=Subscriber.objects.create())
    assert len({html_of(message) for message in (prototype, *messages)}) == 3


def test_threads_that_send_one_message_send_it_once_tracked_each(sent, monkeypatch):
    Source.objects.create(name="spring", slug="spring")
    source = Source.objects.get()
    message = letter(tracking={"source": source, "test": True})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _number: message.send(), range(200)))
    assert len(sent) == 200
    assert {html_of(each).count("https://mail.example/t/") for each in sent} == {2}
    assert html_of(message) == HTML


def test_lazy_texts(sent):
    html = gettext_lazy(HTML)
    message = letter(html, tracking={"campaign": gettext_lazy("Spring"), "word": gettext_lazy("x")})
    message.subject = gettext_lazy("Spring")
    assert message.send() == 1
    assert is_tracked(sent[0])
    assert Beacon.objects.sent().get().data["word"] == "x"


def test_bytes_stay_bytes(sent):
    letter(HTML.replace("Hi", "Grüße").encode()).send()
    content = sent[0].alternatives[0][0]
    assert isinstance(content, bytes)
    assert "Grüße" in content.decode()
    assert b"https://mail.example/t/" in content


@pytest.mark.parametrize(
    ("charset", "content"),
    [
        ("iso-2022-jp", b'\x1b$B$"\x1b(B\x1b$B$$\x1b(B <a href="https://shop.example/">x</a>'),
        ("utf-8", b'\xff <a href="https://shop.example/">x</a>'),
        ("no-such", b'<a href="https://shop.example/">x</a>'),
    ],
)
def test_bytes_that_would_change_go_out_as_they_are(sent, caplog, charset, content):
    message = letter(content)
    message.encoding = charset
    assert message.send() == 1
    assert sent[0].alternatives[0][0] == content
    assert "without tracking" in caplog.text


def test_a_message_with_several_recipients_is_read_once(sent):
    letter(to=[f"{number}@a.example" for number in range(10_000)]).send()
    assert Beacon.objects.sent().get().data["recipients"] == 10_000


def test_line_breaks_in_the_header_are_not_sent(sent):
    message = letter(tracking=None, headers={"X-Tracking": "spring\r\nBcc: eve@e.example"})
    del message.tracking
    assert message.send() == 1
    assert sent[0].extra_headers.keys() == {"Message-ID"}
    assert Source.objects.get().slug == "spring-bcc-eveeexample"


# Rows.


@pytest.mark.parametrize("make", [letter, plain])
@pytest.mark.parametrize("role", ["entity", "source"])
@pytest.mark.parametrize("deleted", [True, False])
def test_rows_that_are_not_saved(sent, caplog, make, role, deleted):
    row = Affiliate()
    if deleted:
        row.save()
        row.delete()
    values = {role: row}
    messages = [
        letter(tracking={"campaign": "spring", **values}) if make is letter else plain(**values),
        letter(),
    ]
    assert backend().send_messages(messages) == 2
    assert len(sent) == 2
    assert Beacon.objects.sent().count() == 1
    assert len([record for record in caplog.records if "without tracking" in record.message]) == 1


def test_one_message_with_data_that_cannot_be_stored_costs_no_other_record(sent):
    messages = [plain(number=1), plain(bad=object()), plain(number=3)]
    assert backend().send_messages(messages) == 3
    assert {beacon.data.get("number") for beacon in Beacon.objects.sent()} >= {1, 3}


# The database.


@pytest.fixture
def broken_sources():
    """The table of sources cannot be read."""
    count = 0

    def fail(execute, sql, params, many, context):
        nonlocal count
        if "tracking_source" in sql and sql.startswith("SELECT"):
            count += 1
            return execute("SELECT no_such_column FROM tracking_source", None, False, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        yield lambda: count


def test_the_transaction_of_the_site_survives_a_campaign_that_cannot_be_read(
    sent, broken_sources, caplog
):
    with transaction.atomic():
        reader = Subscriber.objects.create()
        assert letter().send() == 1
        assert Subscriber.objects.filter(pk=reader.pk).exists()
    assert html_of(sent[0]) == HTML
    assert "without tracking" in caplog.text


def test_a_campaign_that_cannot_be_read_is_asked_for_once_per_batch(sent, broken_sources):
    assert backend().send_messages([letter() for _ in range(20)]) == 20
    assert broken_sources() == 1
    assert {html_of(message) for message in sent} == {HTML}


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_rolls_back_leaves_links_that_lead(sent, client):
    with transaction.atomic():
        letter().send()
        transaction.set_rollback(True)
    assert not Source.objects.exists()
    url = html_of(sent[0]).partition('href="https://mail.example')[2].partition('"')[0]
    assert client.get(url)["Location"] == "https://shop.example/"
