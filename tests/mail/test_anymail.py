"""Through django-anymail's backend for tests, which prepares messages as for a mail provider."""

import django
import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from tests.site.models import Subscriber
from tests.support import services
from tracking.models import Beacon

pytestmark = pytest.mark.django_db

HTML = '<p>Hi <a href="https://shop.example/">Shop</a></p>'


@pytest.fixture(autouse=True)
def anymail(settings):
    try:
        import anymail.backends.test
    except ImportError:
        services.missing("django-anymail")
    settings.TRACKING_BASE_URL = "https://mail.example"
    path = "anymail.backends.test.EmailBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {
            "default": {
                "BACKEND": "tracking.mail.TrackingEmailBackend",
                "OPTIONS": {"mailer": "provider"},
            },
            "provider": {"BACKEND": path},
        }
    else:
        settings.EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
        settings.TRACKING_MAIL_BACKEND = path
    return anymail


def letter(to="anna@a.example", **tracking):
    message = EmailMultiAlternatives("Spring", "Hello", "shop@shop.example", [to])
    message.attach_alternative(HTML, "text/html")
    message.tracking = {"campaign": "spring", **tracking}
    return message


def answer(message, status):
    """Let the provider answer so."""
    from anymail.message import AnymailRecipientStatus

    recipient = AnymailRecipientStatus(message_id="provider-1", status=status)
    message.anymail_test_response = {"recipient_status": {message.to[0]: recipient}}
    return message


def test_the_provider_gets_the_tracked_message_and_gives_it_its_id():
    anna = Subscriber.objects.create()
    message = answer(letter(entity=anna), "queued")
    message.tags = ["spring"]
    assert message.send() == 1
    [sent] = mail.outbox
    assert "https://mail.example/t/" in sent.anymail_test_params["html_body"]
    assert "Message-ID" not in sent.anymail_test_params.get("extra_headers", {})
    assert sent.anymail_test_params["tags"] == ["spring"]
    assert message.anymail_status.message_id == "provider-1"
    assert message.alternatives[0][0] == HTML
    beacon = Beacon.objects.sent().get()
    assert beacon.data["message_id"] == "provider-1"
    assert beacon.entity == anna


def test_what_the_provider_rejects_is_not_recorded():
    from anymail.exceptions import AnymailRecipientsRefused

    message = answer(letter(), "rejected")
    with pytest.raises(AnymailRecipientsRefused):
        message.send()
    assert message.anymail_status.status == {"rejected"}
    assert not Beacon.objects.exists()


def test_what_is_known_of_the_recipient_is_the_mailbox_provider():
    answer(letter("Anna <anna@gmail.com>"), "sent").send()
    data = Beacon.objects.sent().get().data
    assert data["mailbox"] == "gmail"
    assert "anna" not in repr(data)
    assert "pixel" not in data  # it has one, and as many links
    assert data["links"] == 1


def test_a_message_says_what_it_lacks():
    answer(letter(pixel=False), "sent").send()
    assert Beacon.objects.sent().get().data["pixel"] is False
    answer(letter(links=False), "sent").send()
    data = Beacon.objects.sent().latest("pk").data
    assert data["links"] is False
    assert "pixel" not in data


def test_ids_of_several_recipients():
    from anymail.message import AnymailRecipientStatus

    message = letter()
    message.to = ["anna@gmail.com", "bea@gmail.com", "cleo@icloud.com"]
    message.anymail_test_response = {
        "recipient_status": {
            address: AnymailRecipientStatus(message_id=f"id-{number}", status="sent")
            for number, address in enumerate(message.to)
        }
    }
    message.send()
    data = Beacon.objects.sent().get().data
    assert data["message_ids"] == ["id-0", "id-1", "id-2"]
    assert "message_id" not in data
    assert "mailbox" not in data  # they have several
