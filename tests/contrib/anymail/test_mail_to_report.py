"""A mailing through anymail's backend for tests: sent, delivered or not, and in the report."""

import re
from datetime import timedelta

import django
import pytest
from anymail.message import AnymailRecipientStatus
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from tests.site.models import Subscriber
from tests.support.admin_pages import text_of
from tests.support.mail_providers import PROVIDERS
from tests.support.mailings import report_url
from tracking.models import Beacon, Source
from tracking.reports.campaigns import campaign

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:django-anymail has dropped official support"),
]

ADDRESSES = ["anna@gmail.com", "bea@hotmail.com", "cleo@yahoo.fr", "dora@icloud.com", "emil@gmx.de"]
OUTCOMES = ["delivered", "hard", "soft", "delivered", "deferred"]


@pytest.fixture
def backend(settings):
    path = "anymail.backends.test.EmailBackend"
    if django.VERSION >= (6, 1):
        tracked = {
            "BACKEND": "tracking.mail.TrackingEmailBackend",
            "OPTIONS": {"mailer": "provider"},
        }
        settings.MAILERS = {"default": tracked, "provider": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = "tracking.mail.TrackingEmailBackend"
        settings.TRACKING_MAIL_BACKEND = path


def letter(address, message_id):
    message = EmailMultiAlternatives("Spring", "Hello", "shop@shop.example", [address])
    message.attach_alternative('<p><a href="https://shop.example/">Shop</a></p>', "text/html")
    message.tracking = {"campaign": "spring", "entity": Subscriber.objects.create(email=address)}
    status = AnymailRecipientStatus(message_id=message_id, status="queued")
    message.anymail_test_response = {"recipient_status": {address: status}}
    return message


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize("provider", PROVIDERS[:8], ids=lambda provider: provider.name)
def test_from_the_backend_to_the_report(client, admin_client, backend, provider):
    ids = [provider.message_id.format(number) for number in range(len(ADDRESSES))]
    for address, message_id in zip(ADDRESSES, ids, strict=True):
        letter(address, message_id).send()
    time = timezone.now() - timedelta(seconds=1)
    events = [
        provider.event(what, message_id, address, time)
        for what, message_id, address in zip(OUTCOMES, ids, ADDRESSES, strict=True)
    ]
    opened = [provider.event("opened", ids[0], ADDRESSES[0], time)]
    complained = [provider.event("complained", ids[2], ADDRESSES[2], time)]
    for _ in range(2):
        provider.post(client, *events, *opened, *complained)
    spring = Source.objects.get(slug="spring")
    report = campaign(spring)
    lines = {line.mailbox: line for line in report.delivery.by_mailbox}
    assert set(lines) == {"gmail", "outlook", "yahoo", "apple", "other"}
    assert {line.sent for line in lines.values()} == {1}
    has_soft = provider.event("soft", ids[2], ADDRESSES[2], time) is not None
    assert (lines["gmail"].delivered, lines["gmail"].complained) == (1, None)
    assert (lines["outlook"].hard, lines["outlook"].soft) == (1, 0)
    assert (lines["yahoo"].complained, lines["yahoo"].soft) == (1, int(has_soft))
    if reports_delays := events[-1] is not None:
        assert (lines["other"].deferred, lines["other"].delivered) == (1, 0)
    else:
        assert (lines["other"].deferred, lines["other"].delivered) == (None, None)
    assert report.delivery.total.bounced == 1 + has_soft
    assert report.opened.total == 0  # our own pixel has seen nothing
    html = plain(text_of(admin_client.get(report_url(spring))))
    deferred = "0 (0.0%)" if reports_delays else "no data"
    assert f"Gmail 1 1 (100.0%) 0 (0.0%) 0 (0.0%) 0 (0.0%) {deferred} no data" in html
    assert "Outlook 1 0 (0.0%) 1 (100.0%) 0 (0.0%)" in html
    file = admin_client.get(report_url(spring, "delivery.csv")).getvalue().decode()
    assert f"outlook,Outlook,1,0,1,0,0,{0 if reports_delays else ''},0," in file
    data = admin_client.get(report_url(spring, "report.json")).json()["delivery"]
    assert data["total"]["sent"] == 5


def test_the_table_is_there_for_sites_that_hear_from_providers(settings, admin_client, backend):
    letter("anna@gmail.com", "m-1").send()
    url = report_url(Source.objects.get())
    html = plain(text_of(admin_client.get(url)))
    assert "Gmail 1 no data no data no data no data no data no data no data" in html
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if "anymail" not in app]
    html = text_of(admin_client.get(url))
    assert "Mailbox provider" not in html
    assert Beacon.objects.sent().count() == 1
