"""What recipients say is written down."""

import pytest
from django.db import connection, transaction
from django.db.models import ProtectedError, QuerySet

from tests.site.models import Affiliate, Subscriber
from tests.support.concurrency import in_threads
from tracking import recipient_consent
from tracking.models import ConsentState, MailConsent, MailConsentChange
from tracking.models.mail_consents import AppendOnlyError
from tracking.recipient_consent import ConsentOf, deny, grant, history, state, withdraw

pytestmark = pytest.mark.django_db

UNKNOWN, GRANTED, DENIED = ConsentState.UNKNOWN, ConsentState.GRANTED, ConsentState.DENIED


@pytest.fixture
def anna():
    return Subscriber.objects.create(email="anna@a.example")


@pytest.fixture(params=["row", "address"])
def recipient(request, anna):
    return anna if request.param == "row" else anna.email


def test_opens_and_clicks_are_apart(recipient):
    assert state(recipient) == ConsentOf(UNKNOWN, UNKNOWN, None, "", "")
    assert grant(recipient, clicks=False, how="form", text="v1")
    assert state(recipient)[:2] == (GRANTED, UNKNOWN)
    assert deny(recipient, opens=False)
    assert state(recipient)[:2] == (GRANTED, DENIED)
    assert withdraw(recipient)
    assert state(recipient)[:2] == (DENIED, DENIED)
    assert state(recipient).how == "withdrawal"
    said = history(recipient).values_list("opens", "clicks", "how", "text")
    assert list(said) == [
        (GRANTED, UNKNOWN, "form", "v1"),
        (GRANTED, DENIED, "", ""),
        (DENIED, DENIED, "withdrawal", ""),
    ]


def test_the_same_again_is_not_noted(recipient):
    assert grant(recipient, how="form", text="v1")
    assert not grant(recipient, how="form", text="v1")
    assert grant(recipient, how="form", text="v2"), "another text was shown"
    assert not grant(recipient, opens=False, how="form", text="v2")
    assert history(recipient).count() == 2


def test_long_and_odd_texts_are_cut(recipient):
    grant(recipient, how="h" * 99 + "\0", text="ü\0" * 300)
    found = state(recipient)
    assert (len(found.how), len(found.text), "\0" in found.text) == (50, 200, False)


def test_the_history_is_only_added_to(anna):
    grant(anna)
    consent, [change] = MailConsent.objects.get(), MailConsentChange.objects.all()
    for attempt in (
        change.delete,
        change.save,
        consent.delete,
        lambda: MailConsentChange.objects.update(how="x"),
        lambda: MailConsentChange.objects.all().delete(),
        lambda: MailConsent.objects.all().delete(),
        lambda: MailConsent.objects.bulk_update([consent], ["how"]),
    ):
        with pytest.raises(AppendOnlyError, match="keeps its rows"):
            attempt()
    with pytest.raises(ProtectedError):
        QuerySet(MailConsent).all().delete()
    assert history(anna).count() == 1


def test_the_ledger_outlives_the_recipient(anna):
    deny(anna)
    reference = recipient_consent.ledger.identify(anna, "default")
    anna.delete()
    assert MailConsent.objects.get().key == reference.key
    assert not recipient_consent.allows(Subscriber(pk=reference.key), "open")


def test_what_is_rolled_back_was_not_said(anna):
    with transaction.atomic():
        deny(anna)
        assert not recipient_consent.allows(anna, "open")
        transaction.set_rollback(True)
    assert recipient_consent.allows(anna, "open")
    assert state(anna) == ConsentOf()


@pytest.mark.parametrize("wrong", ["anna", Affiliate()])
def test_a_wrong_recipient_is_an_error(wrong):
    with pytest.raises(ValueError):  # noqa: PT011 - of both kinds
        grant(wrong)


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="the tests have SQLite in memory, for one thread"
)
@pytest.mark.django_db(transaction=True)
def test_changes_at_once_are_all_noted_in_one_order(recipient):
    texts = [f"v{number}" for number in range(6)]
    jobs = [
        lambda text=text: (grant if int(text[1]) % 2 else deny)(recipient, text=text)
        for text in texts
    ]
    in_threads(*jobs)
    said = list(history(recipient).values_list("opens", "text"))
    assert sorted(text for _, text in said) == texts
    last = state(recipient)
    assert (last.opens, last.text) == said[-1]
    assert MailConsent.objects.count() == 1
