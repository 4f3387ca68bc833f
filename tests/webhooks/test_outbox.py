"""Messages are saved with the hits that they are about."""

import json
import uuid
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.site.models import Affiliate
from tracking import log_limits
from tracking.enrichment.verdict_rules import Label, Verdict
from tracking.hits import Hit, Kind, Reference
from tracking.models import Beacon, Source, WebhookEndpoint, WebhookMessage
from tracking.recording import write
from tracking.verdicts import corrections
from tracking.verdicts.comparison import Change
from tracking.webhooks import endpoints, outbox, payloads

pytestmark = pytest.mark.django_db

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def items():
    """Return the events of all messages."""
    rows = WebhookMessage.objects.order_by("pk").values_list("items", flat=True)
    return [event for text in rows for event in json.loads(f"[{text}]")]


def test_without_an_endpoint_nothing_is_added(monkeypatch):
    write([Hit(kind=Kind.OPEN)])
    with CaptureQueriesContext(connection) as with_outbox:
        write([Hit(kind=Kind.OPEN) for _ in range(5)])
    monkeypatch.setattr(outbox, "beacon_messages", lambda *_: [])
    with CaptureQueriesContext(connection) as without:
        write([Hit(kind=Kind.OPEN) for _ in range(5)])
    assert len(with_outbox) == len(without)


def test_an_event_tells_verdict_and_reason(endpoint):
    endpoint()
    affiliate = Affiliate.objects.create(name="A")
    source = Source.objects.create(name="Spring", slug="spring")
    hit = Hit(
        kind=Kind.OPEN,
        source=Reference.to(source),
        entity=Reference.to(affiliate),
        user_agent=GMAIL,
        ip_address="66.249.84.1",
        data={"position": 3},
    )
    write([hit])
    [event] = items()
    assert event["type"] == "beacon.open"
    data = event["data"]
    assert data["id"] == str(hit.id)
    assert (data["verdict"], data["verdict_reason"]) == ("proxy", "Gmail's image proxy")
    assert data["source"] == {"type": "tracking.source", "id": str(source.pk), "slug": "spring"}
    assert data["entity"] == {"type": "site.affiliate", "id": str(affiliate.pk)}
    assert data["target"] is None
    assert data["data"] == {"position": 3}
    assert data["time"] == event["timestamp"]
    assert data["time"].endswith("Z")
    assert not {"ip_address", "user_agent", "visitor"} & set(data)


def test_personal_data_is_sent_if_the_endpoint_asks_for_it(endpoint):
    endpoint(personal_data=True)
    write(
        [
            Hit(
                kind=Kind.CLICK,
                user_agent="Mozilla/5.0 (X11) x",
                ip_address="192.0.2.7",
                visitor="v",
            )
        ]
    )
    [event] = items()
    assert event["data"]["ip_address"] == "192.0.2.7"
    assert event["data"]["user_agent"] == "Mozilla/5.0 (X11) x"
    assert event["data"]["visitor"] == "v"


def test_an_endpoint_gets_the_kinds_that_it_asks_for(endpoint):
    clicks = endpoint(types=["beacon.click"])
    endpoint(types=["beacon.sent"])
    endpoint(types=["beacon.click"], active=False)
    write([Hit(kind=Kind.OPEN), Hit(kind=Kind.CLICK), Hit(kind="own")])
    [message] = WebhookMessage.objects.all()
    assert (message.endpoint, message.events) == (clicks, 1)


def test_an_endpoint_gets_the_sources_that_it_asks_for(endpoint):
    affiliates = [Affiliate.objects.create(name=name) for name in "AB"]
    source = Source.objects.create(name="Spring", slug="spring")
    hits = [Hit(kind=Kind.OPEN, source=Reference.to(one)) for one in (*affiliates, source)] + [
        Hit(kind=Kind.OPEN)
    ]
    wanted = {
        "": hits,
        "spring": [hits[2]],
        "site.Affiliate": hits[:2],
        f" site.affiliate:{affiliates[0].pk}\n\nspring ": [hits[0], hits[2]],
        "autumn": [],
    }
    made = {endpoint(sources=sources): expected for sources, expected in wanted.items()}
    write(hits)
    for one, expected in made.items():
        texts = one.messages.values_list("items", flat=True)
        found = [event["data"]["id"] for text in texts for event in json.loads(f"[{text}]")]
        assert found == [str(hit.id) for hit in expected], one.sources


def test_a_hit_that_is_delivered_twice_is_one_event(endpoint):
    endpoint()
    hit = Hit(kind=Kind.OPEN)
    write([hit])
    write([hit, Hit(kind=Kind.CLICK)])
    assert [event["type"] for event in items()] == ["beacon.open", "beacon.click"]


def test_what_is_rolled_back_is_not_sent(endpoint):
    endpoint()
    with transaction.atomic():
        write([Hit(kind=Kind.OPEN)])
        transaction.set_rollback(True)
    assert not WebhookMessage.objects.exists()


def test_messages_and_rows_are_saved_together_or_not_at_all(endpoint, monkeypatch):
    endpoint()

    def fail(*_args, **_options):
        raise DatabaseError

    monkeypatch.setattr(outbox.WebhookMessage.objects, "using", fail)
    with pytest.raises(DatabaseError):
        write([Hit(kind=Kind.OPEN)])
    assert not Beacon.objects.exists()


def test_a_fault_of_ours_keeps_no_hit_from_being_saved(endpoint, monkeypatch, caplog):
    endpoint()
    monkeypatch.setattr(outbox, "_messages", lambda *_: 1 / 0)
    write([Hit(kind=Kind.OPEN)])
    assert Beacon.objects.exists()
    assert "Preparing webhooks for 1 hits failed" in caplog.text


def test_an_endpoint_that_was_deleted_meanwhile_keeps_no_hit_from_being_saved(endpoint):
    one = endpoint()
    loaded = endpoints.active()
    WebhookEndpoint.states.filter(pk=one.pk)._raw_delete("default")  # without a signal
    assert endpoints.active() == loaded
    write([Hit(kind=Kind.OPEN)])
    assert Beacon.objects.count() == 1


def test_a_large_batch_is_several_messages(endpoint):
    endpoint()
    write([Hit(kind=Kind.OPEN) for _ in range(1_200)])
    sizes = list(WebhookMessage.objects.values_list("events", "size"))
    assert sum(events for events, _ in sizes) == 1_200
    assert all(
        events <= payloads.MAX_EVENTS and size <= payloads.MAX_SIZE for events, size in sizes
    )
    assert len({event["data"]["id"] for event in items()}) == 1_200


def test_an_event_of_any_size_fits(endpoint):
    endpoint()
    write([Hit(kind=Kind.EVENT, url="ü" * 300_000, data={"text": "x" * 400_000})])
    [event] = items()
    assert event["data"]["is_cut"] is True
    assert event["data"]["data"] == {}
    assert len(event["data"]["url"]) == 2_000
    assert Beacon.objects.get().data == {"text": "x" * 400_000}


def test_values_that_json_does_not_know(endpoint):
    endpoint()
    write([Hit(kind=Kind.EVENT, data={"id": uuid.UUID(int=1), "nul": "\0"}, url="a\0b")])
    [event] = items()
    assert event["data"]["data"]["id"] == str(uuid.UUID(int=1))


def test_the_oldest_are_dropped_and_counted(endpoint, settings, caplog):
    settings.TRACKING_WEBHOOK_BACKLOG = 0.01
    one, other = endpoint(), endpoint()
    for _ in range(10):
        write([Hit(kind=Kind.OPEN) for _ in range(10)])
    kept = WebhookMessage.objects.filter(endpoint=one)
    newest = kept.latest("pk")
    dropped = outbox.drop_oldest(one.pk, "default")
    assert dropped
    assert sum(kept.values_list("size", flat=True)) <= 10_000
    assert kept.filter(pk=newest.pk).exists()
    one.refresh_from_db()
    assert one.dropped == dropped == 100 - sum(kept.values_list("events", flat=True))
    assert f"{dropped} events for the webhook endpoint {one.pk} were dropped" in caplog.text
    assert other.messages.count() == 10
    assert outbox.drop_oldest(one.pk, "default") == 0


def test_dead_letters_are_dropped_first(endpoint, settings):
    one = endpoint()
    for _ in range(4):
        write([Hit(kind=Kind.OPEN)])
    last = one.messages.latest("pk")
    one.messages.filter(pk=last.pk).update(is_dead=True)
    settings.TRACKING_WEBHOOK_BACKLOG = (sum(one.messages.values_list("size", flat=True)) - 1) / 1e6
    assert outbox.drop_oldest(one.pk, "default") == 1
    assert not one.messages.filter(pk=last.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_the_writer_limits_what_waits(endpoint, settings, monkeypatch):
    log_limits.reset()
    settings.TRACKING_WEBHOOK_BACKLOG = 0.05
    monkeypatch.setattr(outbox, "_LOOK_AFTER", 20_000)
    one = endpoint()
    for _ in range(60):
        write([Hit(kind=Kind.OPEN) for _ in range(10)])
    assert sum(one.messages.values_list("size", flat=True)) <= 80_000
    one.refresh_from_db()
    assert one.dropped > 0


def correct(hits, label=Label.BOT):
    """Correct the verdicts of hits."""
    human, after = Verdict(Label.HUMAN, "no user agent"), Verdict(label, "a burst")
    return corrections.correct([Change(hit.id, hit.time, human, after) for hit in hits])


def test_a_corrected_verdict_is_an_event(endpoint):
    endpoint(types=["verdict.corrected"], sources="spring")
    source = Source.objects.create(name="Spring", slug="spring")
    hits = [Hit(kind=Kind.CLICK, source=Reference.to(source)), Hit(kind=Kind.CLICK)]
    write(hits)
    assert items() == []
    correct(hits)
    [event] = items()
    assert event["type"] == "verdict.corrected"
    data = event["data"]
    assert (data["id"], data["kind"]) == (str(hits[0].id), "click")
    assert (data["verdict"], data["verdict_reason"]) == ("bot", "a burst")
    assert data["previous_verdict"] == "human"
    assert data["previous_verdict_reason"] == "no user agent"
    assert data["source"]["slug"] == "spring"
    correct(hits)  # nothing is left to correct
    assert len(items()) == 1


def test_a_correction_that_is_rolled_back_is_not_sent(endpoint):
    endpoint(types=["verdict.corrected"])
    hit = Hit(kind=Kind.CLICK)
    write([hit])
    with transaction.atomic():
        correct([hit])
        transaction.set_rollback(True)
    assert items() == []


def test_without_an_endpoint_a_correction_reads_no_beacon(endpoint):
    endpoint(types=["beacon.sent"])
    hit = Hit(kind=Kind.CLICK)
    write([hit])
    with CaptureQueriesContext(connection) as queries:
        assert correct([hit])
    assert not any("webhook" in query["sql"] for query in queries)


def test_an_event_with_a_value(endpoint):
    endpoint()
    write([Hit(kind=Kind.EVENT, event_name="purchase", event_value=Decimal("49.90"))])
    [event] = items()
    assert event["data"]["event_name"] == "purchase"
    assert Decimal(event["data"]["event_value"]) == Decimal("49.90")
