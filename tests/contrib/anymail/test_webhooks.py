"""Events that are posted to anymail's own webhooks, signed as each provider signs them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.site.models import Affiliate, Subscriber
from tests.support.mail_providers import LINK, PHONE, PROVIDERS
from tracking.enrichment.verdict_rules import BY_PROVIDER, MACHINE_BY_PROVIDER
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, SentMessage, UnmatchedEvent
from tracking.recording import write
from tracking.recording.beacons import release_due_events

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:django-anymail has dropped official support"),
]

TO = "anna@gmail.com"

#: The kind of beacon, and further data of it.
EXPECTED = {
    "delivered": (Kind.DELIVERED, {}),
    "hard": (Kind.BOUNCED, {"bounce": "hard"}),
    "soft": (Kind.BOUNCED, {"bounce": "soft"}),
    "rejected": (Kind.BOUNCED, {"bounce": "rejected"}),
    "deferred": (Kind.DEFERRED, {}),
    "complained": (Kind.COMPLAINED, {}),
    "unsubscribed": (Kind.UNSUBSCRIBED, {}),
    "opened": (Kind.OPEN, {}),
    "machine": (Kind.OPEN, {}),
    "clicked": (Kind.CLICK, {}),
}

CASES = [
    (provider, what)
    for provider in PROVIDERS
    for what in EXPECTED
    if provider.event(what, provider.message_id.format(7), TO, timezone.now()) is not None
]


def ids(case):
    provider, what = case
    return f"{provider.name} {what}"


@pytest.fixture
def mailing():
    return Affiliate.objects.create(name="Spring letter")


@pytest.fixture
def anna():
    return Subscriber.objects.create(email=TO)


def sent(message_id, mailing, anna, **data):
    """Return the hit of a message of ours without a pixel and links."""
    return Hit(
        kind=Kind.SENT,
        source=Reference.to(mailing),
        entity=Reference.to(anna),
        data={"message_id": message_id, "recipients": 1, "pixel": False, "links": False, **data},
    )


def moment():
    """Return a time that all providers can write."""
    return timezone.now().replace(microsecond=0) - timedelta(minutes=5)


def check(beacon, provider, what, time):
    kind, data = EXPECTED[what]
    assert beacon.kind == kind
    assert beacon.time == time
    assert beacon.data["provider"] == provider.name
    assert beacon.data["mailbox"] == "gmail"
    assert data.items() <= beacon.data.items()
    assert TO not in repr(vars(beacon))
    assert beacon.ip_address is None
    if what == "clicked":
        assert beacon.url == LINK
    if what == "opened" and beacon.user_agent:
        assert (beacon.user_agent, beacon.verdict) == (PHONE, "human")
    elif what == "opened":  # nobody knows who it was
        assert (beacon.verdict, beacon.verdict_reason) == ("proxy", BY_PROVIDER)
    if what == "machine":
        assert beacon.verdict == "prefetch"
        assert (beacon.verdict_reason == MACHINE_BY_PROVIDER) == (
            provider.name in {"SendGrid", "Brevo", "SparkPost"}
        )


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_an_event_is_one_beacon_of_its_message(client, case, mailing, anna):
    provider, what = case
    message_id, time = provider.message_id.format(7), moment()
    write([sent(message_id, mailing, anna)])
    event = provider.event(what, message_id, TO, time)
    for _ in range(2):
        assert {answer.status_code for answer in provider.post(client, event)} == {200}
    beacon = Beacon.objects.exclude(kind=Kind.SENT).get()
    check(beacon, provider, what, time)
    assert (beacon.source, beacon.entity) == (mailing, anna)
    assert not UnmatchedEvent.objects.exists()


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_an_event_may_come_before_its_message_is_written(client, case, mailing, anna):
    provider, what = case
    message_id, time = provider.message_id.format(7), moment()
    event = provider.event(what, message_id, TO, time)
    for _ in range(2):
        provider.post(client, event)
    assert not Beacon.objects.exists()
    assert TO not in repr(UnmatchedEvent.objects.values_list().get())
    write([sent(message_id, mailing, anna)])
    provider.post(client, event)
    beacon = Beacon.objects.exclude(kind=Kind.SENT).get()
    check(beacon, provider, what, time)
    assert (beacon.source, beacon.entity) == (mailing, anna)
    assert not UnmatchedEvent.objects.exists()


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_a_wrong_signature_is_refused(client, provider, monkeypatch, mailing, anna):
    write([sent("1", mailing, anna)])
    monkeypatch.setattr(type(provider), "headers", lambda self, body: {})
    event = provider.event("delivered", provider.message_id.format(7), TO, moment())
    answers = provider.post(client, event)
    if provider.name == "Mailgun":  # the signature is in the body
        assert {answer.status_code for answer in answers} == {400}
    assert {answer.status_code for answer in answers} <= {400, 401}
    assert Beacon.objects.count() == 1


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_all_events_of_two_recipients(client, provider, mailing, anna):
    bea = Subscriber.objects.create(email="bea@yahoo.co.uk")
    first, second = provider.message_id.format(7), provider.message_id.format(8)
    write([sent(first, mailing, anna), sent(second, mailing, bea)])
    events = [
        provider.event(what, message_id, to, moment() + timedelta(seconds=number), number)
        for message_id, to in ((first, TO), (second, bea.email))
        for number, what in enumerate(EXPECTED)
    ]
    events = [event for event in events if event is not None]
    provider.post(client, *events)
    provider.post(client, *reversed(events))
    beacons = Beacon.objects.exclude(kind=Kind.SENT)
    assert beacons.count() == len(events)
    assert beacons.for_entity(anna).count() == beacons.for_entity(bea).count()
    assert {beacon.data["mailbox"] for beacon in beacons.for_entity(bea)} == {"yahoo"}


@pytest.mark.parametrize("first", ["pixel", "provider"])
@pytest.mark.parametrize("provider", PROVIDERS[:8], ids=lambda provider: provider.name)
def test_what_our_own_pixel_and_links_count_is_not_counted_twice(
    client, provider, mailing, anna, first
):
    message_id = provider.message_id.format(7)
    record = sent(message_id, mailing, anna, pixel=True, links=True)
    seen = [
        Hit(
            kind=kind,
            source=record.source,
            entity=record.entity,
            user_agent=PHONE,
            url=LINK if kind == Kind.CLICK else "",
        )
        for kind in (Kind.OPEN, Kind.CLICK)
    ]
    events = [
        provider.event(what, message_id, TO, moment())
        for what in ("opened", "clicked", "delivered")
    ]
    if first == "pixel":
        write([record, *seen])
        provider.post(client, *events)
    else:
        provider.post(client, *events)
        write([record, *seen])
    kinds = sorted(Beacon.objects.values_list("kind", flat=True))
    assert kinds == ["click", "delivered", "open", "sent"]
    assert not UnmatchedEvent.objects.exists()


def test_both_processes_may_miss_each_other(client, mailing, anna):
    provider = PROVIDERS[0]
    provider.post(client, provider.event("delivered", "m-1", TO, moment()))
    row = UnmatchedEvent.objects.get()
    UnmatchedEvent.objects.all().delete()
    write([sent("m-1", mailing, anna)])
    # Another process had not committed it yet.
    row.save(force_insert=True)
    assert release_due_events() == 0  # not due yet
    UnmatchedEvent.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert release_due_events() == 1
    assert Beacon.objects.get(kind=Kind.DELIVERED).entity == anna
    assert SentMessage.objects.count() == 1
