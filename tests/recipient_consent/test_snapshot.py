"""The ledger in the memory of a process."""

import time
from array import array

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from tracking import recipient_consent
from tracking.caching import polling, snapshots
from tracking.hits import Reference
from tracking.models import MailConsent, MailConsentChange
from tracking.recipient_consent import address_key
from tracking.recipient_consent import snapshot as snapshot_module
from tracking.recipient_consent.recipients import digest_of_row
from tracking.recipient_consent.snapshot import DENIED, GRANTED, Consents, snapshot

BOTH_DENIED = DENIED | DENIED << 2


def row(number):
    return Reference("site.subscriber", str(number))


def state_of(number):
    return snapshot.current.state_of(digest_of_row(row(number)))


@given(
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(1, 15)),
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(0, 15)),
    st.integers(-(2**63), 2**63 - 1),
)
def test_a_look_up_finds_the_last_state(loaded, changed, other):
    digests = sorted(loaded)
    content = Consents(
        array("q", digests), bytes(loaded[one] for one in digests), changed, 0, None, False
    )
    expected = {**loaded, **changed}
    for digest in {*expected, other, 0}:
        assert content.state_of(digest) == expected.get(digest, 0)


@pytest.fixture
def process(outside_of_tests):
    """Let the snapshot be read as a process of a server reads it."""
    snapshots.reset_all()
    return snapshots.refresh


@pytest.mark.django_db(transaction=True)
def test_only_changes_are_read_after_the_first_load(process):
    for number in range(30):
        recipient_consent.deny(row(number))
    process()
    assert {state_of(number) for number in range(30)} == {BOTH_DENIED}
    assert state_of(30) == 0
    recipient_consent.grant(row(7), opens=False)
    recipient_consent.deny(row(30))
    with CaptureQueriesContext(connection) as queries:
        snapshots.refresh_soon()
        process()
    assert state_of(7) == DENIED | GRANTED << 2
    assert state_of(30) == BOTH_DENIED
    assert not any('ORDER BY "tracking_mailconsent"."digest"' in q["sql"] for q in queries)


@pytest.mark.django_db(transaction=True)
def test_many_changes_lead_to_a_full_load(process, monkeypatch):
    monkeypatch.setattr(snapshot_module, "_MAX_CHANGED", 5)
    monkeypatch.setattr(snapshot_module, "_READ_AGAIN", 0)
    monkeypatch.setattr(snapshot_module, "CHUNK_SIZE", 4)
    recipient_consent.deny(row(0))
    process()
    loaded_in_full = set()
    for number in range(1, 12):
        recipient_consent.deny(row(number))
        process()
        loaded_in_full.add(len(snapshot.committed.states))
        assert len(snapshot.committed.changed) <= 5
    assert {state_of(number) for number in range(12)} == {BOTH_DENIED}
    assert loaded_in_full == {1, 7}
    assert snapshot.committed.digests == array("q", sorted(snapshot.committed.digests))


@pytest.mark.django_db(transaction=True)
def test_a_change_whose_number_was_used_before_is_read(process):
    """A database that fails over may lose the last changes, and give their numbers again."""
    recipient_consent.deny(row(1))
    recipient_consent.deny(row(2))
    process()
    last = MailConsentChange.objects.order_by("-id").first()
    QuerySet(MailConsentChange).filter(pk=last.pk).delete()
    QuerySet(MailConsent).filter(pk=last.consent_id).delete()
    other = MailConsent(digest=digest_of_row(row(3)), label="site.subscriber", key="3")
    other.opens = other.clicks = "denied"
    other.save()
    MailConsentChange.objects.create(pk=last.pk, consent=other, opens="denied", clicks="denied")
    snapshots._save_token(address_key.SNAPSHOT, "of another process", "default")
    snapshots.refresh_soon()
    process()
    assert state_of(3) == BOTH_DENIED


@pytest.mark.django_db(transaction=True)
def test_what_another_process_denies_is_known_within_a_second(process):
    process()
    consent = MailConsent(digest=digest_of_row(row(1)), label="site.subscriber", key="1")
    consent.opens = consent.clicks = "denied"
    QuerySet(MailConsent).bulk_create([consent])
    QuerySet(MailConsentChange).bulk_create(
        [MailConsentChange(consent=MailConsent.objects.get(), opens="denied", clicks="denied")]
    )
    snapshots._save_token(address_key.SNAPSHOT, "of another process", "default")
    time.sleep(polling.INTERVAL + 0.1)
    process()
    assert state_of(1) == BOTH_DENIED
