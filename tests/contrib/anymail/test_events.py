"""What becomes of events, without a webhook."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import Affiliate, Subscriber
from tracking.backends import get_backend
from tracking.contrib.anymail import receiver
from tracking.contrib.anymail.bounces import bounce_type
from tracking.contrib.anymail.events import MAX_REASON, hit_of
from tracking.hits import Hit, Kind, Reference, from_dict, message_key
from tracking.models import Beacon, SentMessage, Source, UnmatchedEvent
from tracking.pipeline.spool import decode_hit, encode_hit
from tracking.pipeline.write_batch import write_hits
from tracking.recording import provider_events, write, written_batches
from tracking.recording.beacons import release_due_events
from tracking.retention import clean_up

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


def event(event_type="delivered", **values):
    """Return an event as anymail makes them."""
    return SimpleNamespace(
        **{
            "event_type": event_type,
            "timestamp": NOW,
            "event_id": None,
            "esp_event": {},
            "click_url": None,
            "description": None,
            "message_id": "m-1",
            "metadata": {},
            "mta_response": None,
            "recipient": "anna@gmail.com",
            "reject_reason": None,
            "tags": [],
            "user_agent": None,
            **values,
        }
    )


def sent(message_id="m-1", **values):
    return Hit(kind=Kind.SENT, data={"message_id": message_id}, **values)


@pytest.mark.parametrize("kind", ["queued", "sent", "autoresponded", "subscribed", "unknown", "x"])
def test_events_of_no_interest(kind):
    assert hit_of(event(kind), "Postmark") is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NOW, NOW),
        (NOW - timedelta(days=29), NOW - timedelta(days=29)),
        (NOW - timedelta(days=31), NOW),
        (datetime(1970, 1, 1, tzinfo=UTC), NOW),
        (NOW + timedelta(minutes=4), NOW),
        (NOW + timedelta(days=400), NOW),
        (datetime(2026, 4, 1, 11, 0), datetime(2026, 4, 1, 11, 0, tzinfo=UTC)),
        (None, NOW),
        ("yesterday", NOW),
    ],
)
def test_the_time_of_an_event_is_believed_within_limits(told, expected):
    hit = hit_of(event(timestamp=told), "Postmark", NOW)
    assert hit.time == expected
    # Whenever it is sent again, it is the same event.
    assert hit_of(event(timestamp=told), "Postmark", NOW + timedelta(hours=2)).id == hit.id
    assert (hit.id.version, hit.id.variant) == (7, "specified in RFC 4122")


def test_the_key_sorts_by_the_time_of_the_event():
    keys = [
        hit_of(event(timestamp=NOW - timedelta(minutes=n)), "Postmark", NOW).id for n in range(9)
    ]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize(
    "other",
    [
        {"event_type": "deferred"},
        {"message_id": "m-2"},
        {"recipient": "bea@gmail.com"},
        {"event_id": "2"},
        {"timestamp": NOW - timedelta(seconds=1)},
        {"click_url": "https://shop.example/"},
    ],
)
def test_other_events_have_other_keys(other):
    assert hit_of(event(), "Postmark", NOW).id != hit_of(event(**other), "Postmark", NOW).id


def test_the_token_of_mailgun_is_not_part_of_the_key():
    first, again = (
        hit_of(event(event_id=token, esp_event={"event-data": {"id": "1"}}), "Mailgun", NOW)
        for token in ("a", "b")
    )
    assert first.id == again.id


def test_what_a_server_says_is_cut_and_has_no_address():
    text = "550 5.1.1 <anna.berg@gmail.com>: no such user; see bea@a.example " + "é" * 5_000
    hit = hit_of(event("bounced", mta_response=text), "Unknown provider", NOW)
    assert len(hit.data["reason"]) == MAX_REASON
    assert hit.data["reason"].startswith("550 5.1.1 <…@gmail.com>: no such user; see …@a.example")
    assert hit.data["bounce"] == "hard"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 user unknown", "hard"),
        ("550 No such user here", "hard"),
        ("5.1.10 null MX", "soft"),
        ("550 5.7.1 blocked by policy", "soft"),
        ("552 5.2.2 over quota", "soft"),
        ("451 4.7.1 greylisted", "soft"),
        ("", "soft"),
        (None, "soft"),
        ("ticket 15505 closed", "soft"),
    ],
)
def test_the_answer_of_the_server_tells_hard_from_soft(reply, expected):
    assert bounce_type(event("bounced", mta_response=reply), "Unknown provider") == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    name=st.sampled_from(["SendGrid", "Mailgun", "SparkPost", "Resend", "Brevo", "Mailjet", "x"]),
    kind=st.sampled_from(["bounced", "opened", "clicked", "delivered", "rejected", "complained"]),
    raw=JSON,
    texts=st.lists(JSON, min_size=8, max_size=8),
)
def test_a_strange_event_is_a_hit_all_the_same(name, kind, raw, texts):
    names = ("event_id", "click_url", "description", "message_id", "metadata", "mta_response")
    values = dict(zip((*names, "recipient", "tags"), texts, strict=True))
    hit = hit_of(event(kind, esp_event=raw, **values), name, NOW)
    assert decode_hit(encode_hit(hit)).id == hit.id
    assert hit_of(event(kind, esp_event=raw, **values), name, NOW).id == hit.id


def test_a_hit_travels_with_its_report():
    hit = hit_of(event("opened", tags=["Spring"], metadata={"campaign": "Tea"}), "Postmark", NOW)
    assert hit.report.campaigns == ("tea", "spring")
    assert hit.report.message == message_key("<m-1>")
    assert decode_hit(encode_hit(hit)) == hit
    assert from_dict(hit.as_dict()) == hit


def test_an_event_that_cannot_be_understood_is_logged(caplog):
    receiver.record_event(event(timestamp=NOW, event_type=[]), "Postmark")
    assert "An event of Postmark cannot be understood" in caplog.text


def test_a_failing_backend_makes_the_provider_try_again(monkeypatch):
    def fail(hit):
        raise DatabaseError("down")

    monkeypatch.setattr(get_backend(), "send_in_savepoints", fail)
    with pytest.raises(DatabaseError):
        receiver.record_event(event(timestamp=timezone.now()), "Postmark")


def test_event_and_message_in_one_batch():
    mailing, anna = Affiliate.objects.create(name="Spring"), Subscriber.objects.create()
    record = sent("<m-1>", source=Reference.to(mailing), entity=Reference.to(anna))
    write([hit_of(event(), "Postmark", NOW), record])
    assert Beacon.objects.get(kind="delivered").entity == anna


def test_each_recipient_may_have_an_id():
    mailing = Affiliate.objects.create(name="Spring")
    record = Hit(
        kind=Kind.SENT, source=Reference.to(mailing), data={"message_ids": ["m-1", "m-2", 3]}
    )
    write([record])
    write([hit_of(event(message_id=name), "Mandrill", NOW) for name in ("m-1", "m-2")])
    assert Beacon.objects.for_source(mailing).filter(kind="delivered").count() == 2


def due():
    UnmatchedEvent.objects.filter(due_at__isnull=False).update(
        time=timezone.now() - provider_events.WAIT, due_at=timezone.now()
    )


def test_after_an_hour_an_event_has_the_campaign_of_its_tags():
    spring = Source.objects.create(name="Spring", slug="spring-letter")
    hits = [
        hit_of(event(message_id=f"m-{n}", tags=["x", "Spring letter"]), "Postmark", NOW)
        for n in range(3)
    ]
    unknown = hit_of(event(message_id="m-9", tags=["autumn"]), "Postmark", NOW)
    assert write([*hits, unknown]) == []
    assert release_due_events() == 0
    due()
    assert release_due_events() == 3
    assert Beacon.objects.for_source(spring).count() == Beacon.objects.count() == 3
    row = UnmatchedEvent.objects.get()
    assert (row.pk, row.due_at) == (unknown.id, None)
    assert not Source.objects.filter(slug="autumn").exists()  # a stranger makes no campaigns
    write([*hits, unknown])  # sent again
    due()
    release_due_events()
    assert Beacon.objects.count() == 3
    assert UnmatchedEvent.objects.count() == 1
    # Its message is written late, after all.
    write([sent("m-9")])
    assert Beacon.objects.filter(kind="delivered").count() == 4
    assert not UnmatchedEvent.objects.exists()


def test_no_more_events_are_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(provider_events, "MAX_KEPT", 2)
    Source.objects.create(name="Spring", slug="spring")
    for number in range(5):
        write([hit_of(event(message_id=f"m-{number}", tags=["autumn"]), "Postmark", NOW)])
    assert UnmatchedEvent.objects.count() == 3
    write([hit_of(event(message_id="m-6", tags=["spring"]), "Postmark", NOW)])
    assert Beacon.objects.filter(kind="delivered").count() == 1


def test_an_event_without_a_message_waits_for_none():
    write([hit_of(event(message_id=None), "Postmark", NOW)])
    due()
    assert release_due_events() == 0
    assert UnmatchedEvent.objects.get().due_at is None


def test_a_row_of_another_version_is_given_up(caplog):
    UnmatchedEvent.objects.create(
        id=message_key("x"), hit={"kind": "delivered"}, due_at=timezone.now()
    )
    release_due_events()
    assert not UnmatchedEvent.objects.exists()
    assert "cannot be read" in caplog.text


def doctor(capsys):
    call_command("tracking_doctor")
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_doctor_says_when_the_last_event_came(capsys):
    assert "last provider event never" in doctor(capsys)
    write([sent(), hit_of(event(), "Postmark", NOW)])
    assert "last provider event April 1, 2026, 2 p.m. CEST" in doctor(capsys)
    write([hit_of(event(message_id=f"m-{n}"), "Postmark", NOW) for n in (2, 3)])
    UnmatchedEvent.objects.filter(hit__data__message_id="m-2").update(due_at=None)
    assert {"provider events waiting 1", "provider events unmatched 1"} <= set(doctor(capsys))


def test_events_are_no_duplicates():
    hit = hit_of(event(), "Postmark", NOW)
    assert write_hits([hit]) == 0
    assert write_hits([sent()]) == 0
    assert write_hits([hit]) == 0
    assert Beacon.objects.count() == 2


def test_a_batch_of_nothing_but_waiting_events_is_marked():
    key = message_key("batch")
    write([hit_of(event(), "Postmark", NOW)], key)
    assert written_batches.find_written([key]) == {key}


@pytest.mark.django_db(transaction=True)
def test_other_sites_pay_nothing(settings, django_assert_num_queries):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if "anymail" not in app]
    write([Hit(kind=Kind.OPEN)])
    with django_assert_num_queries(1):
        write([Hit(kind=Kind.OPEN)])
    with django_assert_num_queries(1):
        write([sent()])
    assert not SentMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_clean_up_releases_and_deletes():
    spring = Source.objects.create(name="Spring", slug="spring")
    write([hit_of(event(tags=["spring"]), "Postmark", NOW), hit_of(event("bounced"), "x", NOW)])
    due()
    write([sent("m-5")])
    SentMessage.objects.update(time=timezone.now() - timedelta(days=91))
    clean_up()
    assert Beacon.objects.for_source(spring).get().kind == "delivered"
    assert not SentMessage.objects.exists()
    assert UnmatchedEvent.objects.count() == 1
    UnmatchedEvent.objects.update(time=timezone.now() - timedelta(days=8))
    clean_up()
    assert not UnmatchedEvent.objects.exists()
