"""The key of addresses: it outlives the secrets."""

import logging

import pytest
from django.core import serializers

from tracking import mail, recipient_consent
from tracking.models import MailConsent, SharedValue
from tracking.recipient_consent import AddressKeyLost, ConsentState, address_key

pytestmark = pytest.mark.django_db

ANNA = "anna@a.example"


def test_one_key_for_all(settings):
    key = address_key.get_or_create("default")
    assert key == address_key.get_or_create("default") == address_key.find("default")
    assert len(key) == address_key.KEY_BYTES
    stored = SharedValue.objects.get(name=address_key.NAME)
    assert key.hex() not in serializers.serialize("json", [stored])


def test_the_key_outlives_all_secrets_that_change_one_after_the_other(settings):
    settings.TRACKING_SECRET_KEYS = ["first"]
    recipient_consent.deny(ANNA)
    key = address_key.find("default")
    settings.TRACKING_SECRET_KEYS = ["second", "first"]
    assert address_key.find("default") == key
    settings.TRACKING_SECRET_KEYS = ["second"]  # encrypted with the second by now
    assert address_key.find("default") == key
    assert recipient_consent.state(ANNA).opens == ConsentState.DENIED
    settings.TRACKING_SECRET_KEYS = ["third", "second"]
    assert recipient_consent.state(ANNA).opens == ConsentState.DENIED


def test_a_lost_secret_is_an_error_and_tracks_nobody(settings, caplog):
    settings.TRACKING_BASE_URL = "https://mail.example"
    settings.TRACKING_SECRET_KEYS = ["first"]
    recipient_consent.deny(ANNA)
    settings.TRACKING_SECRET_KEYS = ["second"]
    with pytest.raises(AddressKeyLost, match="TRACKING_SECRET_KEYS"):
        recipient_consent.state(ANNA)
    with pytest.raises(AddressKeyLost):
        recipient_consent.grant("ben@a.example")
    from django.core.mail import EmailMultiAlternatives

    from tracking.caching import snapshots

    snapshots.changed(address_key.SNAPSHOT)  # a new process reads it so
    message = EmailMultiAlternatives("S", "T", "a@b.example", [ANNA])
    message.attach_alternative("<a href='https://shop.example/'>x</a>", "text/html")
    with caplog.at_level(logging.ERROR):
        mail.instrument(message, campaign="spring")
    assert "mail.example" not in message.message().as_string()
    settings.TRACKING_SECRET_KEYS = ["second", "first"]
    assert recipient_consent.state(ANNA).opens == ConsentState.DENIED


def test_a_lost_key_that_no_address_needs_is_replaced(settings):
    settings.TRACKING_SECRET_KEYS = ["first"]
    before = address_key.get_or_create("default")
    settings.TRACKING_SECRET_KEYS = ["second"]
    after = address_key.get_or_create("default")
    assert after not in (None, before)
    assert not MailConsent.objects.exists()
