"""Whether an open or a click is recorded."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.site.models import Offer, Subscriber
from tests.support.mailings import BROWSER
from tracking import TrackingPixel, links, recipient_consent
from tracking.caching import snapshots
from tracking.hits import Hit, Kind, MailReport, Reference, message_key
from tracking.models import Beacon
from tracking.recipient_consent import address_key, decisions
from tracking.recipient_consent.recipients import identify_address
from tracking.recording import write

pytestmark = pytest.mark.django_db

SHOP = "https://shop.example/"


@pytest.fixture
def anna():
    return Subscriber.objects.create(email="anna@a.example")


def read(client, entity=None, recipient=None):
    """Open and click, and return the kinds that were recorded."""
    before = set(Beacon.objects.values_list("pk", flat=True))
    pixel = client.get(links.pixel_url(entity=entity, recipient=recipient))
    assert (pixel.status_code, len(pixel.content)) == (200, 43)
    link = client.get(links.link_url(SHOP, entity=entity, recipient=recipient))
    assert link["Location"] == SHOP
    return sorted(Beacon.objects.exclude(pk__in=before).values_list("kind", flat=True))


def digest(address):
    return identify_address(address, address_key.get_or_create("default")).digest


def test_a_withdrawal_holds_for_mails_already_sent(client, anna):
    assert read(client, anna) == ["click", "open"]
    recipient_consent.withdraw(anna, clicks=False)
    assert read(client, anna) == ["click"]
    recipient_consent.withdraw(anna)
    assert read(client, anna) == []
    assert read(client) == ["click", "open"], "without a recipient"
    assert read(client, Subscriber.objects.create()) == ["click", "open"]
    recipient_consent.grant(anna, opens=False)
    assert read(client, anna) == ["click"]


def test_a_withdrawal_by_address_holds_in_any_spelling(client, anna):
    recipient = digest("anna@müller.example")
    assert read(client, None, recipient) == ["click", "open"]
    recipient_consent.withdraw("Anna <ANNA@xn--mller-kva.example>")
    assert read(client, None, recipient) == []
    assert read(client, anna, recipient) == [], "the row has not said anything"
    assert read(client, anna, digest("ben@a.example")) == ["click", "open"]


def test_unknown_recipients_are_as_the_setting_says(client, anna, settings):
    settings.TRACKING_MAIL_CONSENT = "if-granted"
    assert read(client, anna) == []
    assert read(client) == ["click", "open"], "without a recipient nobody has to agree"
    recipient_consent.grant(anna, opens=False)
    assert read(client, anna) == ["click"]
    settings.TRACKING_MAIL_CONSENT = {"opens": "if-granted", "clicks": "unless-denied"}
    ben = Subscriber.objects.create()
    assert read(client, ben) == ["click"]
    settings.TRACKING_MAIL_CONSENT = "unless-denied"
    assert read(client, ben) == ["click", "open"]
    settings.TRACKING_MAIL_CONSENT = True
    assert read(client, ben) == [], "a wrong value records nobody who has not agreed"


def test_one_name_that_denies_outweighs_one_that_grants(client, anna, settings):
    settings.TRACKING_MAIL_CONSENT = "if-granted"
    recipient = digest(anna.email)
    recipient_consent.grant(anna)
    assert read(client, anna, recipient) == ["click", "open"]
    recipient_consent.deny(anna.email, clicks=False)
    assert read(client, anna, recipient) == ["click"]


def test_urls_with_the_key_of_a_recipient_count_no_more(client, anna):
    offer = Offer.objects.create(url=SHOP)
    path = f"/to/{offer.pk}/for/{anna.pk}"
    assert client.get(path)["Location"] == SHOP
    assert Beacon.objects.count() == 1
    recipient_consent.deny(anna)
    assert client.get(path)["Location"] == SHOP
    assert Beacon.objects.count() == 1
    anna.refresh_from_db()
    assert anna.seen == 1


def test_callbacks_are_not_called(client, anna, callbacks):
    called = []

    class Callback(TrackingPixel):
        def record(self, request, *args, **kwargs):
            called.append(kwargs)

    callbacks.register(Callback)
    read(client, anna)
    number = len(called)
    assert number > 0
    recipient_consent.deny(anna)
    read(client, anna)
    assert len(called) == number


# Hits that wait when the withdrawal comes.


def hits(*entities, kind=Kind.OPEN):
    return [Hit(kind=kind, entity=Reference.to(one), user_agent=BROWSER) for one in entities]


def test_hits_that_wait_are_not_written(anna):
    ben = Subscriber.objects.create()
    waiting = [
        *hits(anna, ben),
        *hits(anna, ben, kind=Kind.CLICK),
        *hits(anna, kind=Kind.SENT),
        Hit(kind=Kind.OPEN, recipient=digest(anna.email)),
    ]
    recipient_consent.withdraw(anna, clicks=False)
    recipient_consent.withdraw(anna.email)
    write(waiting)
    recorded = set(Beacon.objects.values_list("kind", "entity_id"))
    assert recorded == {
        ("open", str(ben.pk)),
        ("click", str(ben.pk)),
        ("click", str(anna.pk)),
        ("sent", str(anna.pk)),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outside_of_tests")
def test_a_writer_that_has_read_nothing_lately_looks_into_the_database(anna):
    snapshots.reset_all()
    recipient_consent.deny(anna)
    snapshots.reset_all()
    write(hits(anna))
    assert not Beacon.objects.exists()
    assert not decisions.snapshot.is_loaded


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outside_of_tests")
def test_a_writer_does_not_rely_on_a_snapshot_that_fails_to_load(anna, monkeypatch):
    snapshots.refresh()

    def fail(using):
        raise OSError("no memory")

    monkeypatch.setattr(decisions.snapshot, "_load", fail)
    recipient_consent.deny(anna)
    snapshots.refresh()
    assert snapshots.is_failing()
    write(hits(anna))
    assert not Beacon.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outside_of_tests")
def test_an_empty_ledger_is_looked_at_twice_a_second_at_most(anna, monkeypatch):
    monkeypatch.setattr(decisions, "_empty_ledger", decisions._EmptyLedger())
    monkeypatch.setattr(decisions, "_is_fresh", lambda: False)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            write(hits(anna))
    of_ledger = [q for q in queries if 'FROM "tracking_mailconsent"' in q["sql"].replace("`", '"')]
    assert len(of_ledger) == 2
    recipient_consent.deny(anna)
    time.sleep(decisions._EmptyLedger.SECONDS)
    write(hits(anna))
    assert Beacon.objects.count() == 5


# Costs.


def statements(client, url):
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    return [q["sql"].split()[0] for q in queries if "SAVEPOINT" not in q["sql"]]


def test_no_query_is_made_for_a_hit(client, anna):
    url = links.pixel_url(entity=anna)
    client.get(url)  # which finds the content type
    assert statements(client, url) == ["INSERT"], "nobody has said anything"
    recipient_consent.grant(anna)
    assert statements(client, url) == ["INSERT"]
    recipient_consent.deny(anna)
    assert statements(client, url) == []


# Events of mail providers: their recipient is found when they are written.


def events(message_id, **data):
    """A message without our pixel and links, and what its provider reports."""
    report = MailReport(message=message_key(message_id))
    return [
        Hit(kind=Kind.OPEN, report=report, **data),
        Hit(kind=Kind.CLICK, report=report, **data),
        Hit(kind=Kind.DELIVERED, report=report, **data),
    ]


def sent(message_id, entity, **data):
    data = {"message_id": message_id, "pixel": False, "links": False, **data}
    return Hit(kind=Kind.SENT, entity=Reference.to(entity), data=data)


def reported():
    kinds = Beacon.objects.exclude(kind=Kind.SENT).values_list("kind", flat=True)
    return sorted(kinds)


def test_what_a_provider_reports_needs_consent_too(anna):
    write([sent("1@a.example", anna), *events("1@a.example")])
    assert reported() == ["click", "delivered", "open"]
    recipient_consent.withdraw(anna, opens=False)
    write([sent("2@a.example", anna), *events("2@a.example")])
    assert reported() == ["click", "delivered", "delivered", "open", "open"]


def test_what_a_provider_reports_of_an_address_needs_consent_too(anna):
    recipient = digest(anna.email)
    recipient_consent.withdraw(anna.email)
    write([sent("1@a.example", anna), *events("1@a.example", recipient=recipient)])
    assert reported() == ["delivered"]


def test_a_mail_without_pixel_for_lack_of_consent_gets_none_from_its_provider(anna):
    write([sent("1@a.example", anna, untracked=["opens"]), *events("1@a.example")])
    assert reported() == ["click", "delivered"]
