"""An encoder of the site's own."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from tests.support.encoders import PLAIN, PlainEncoder
from tracking import tokens
from tracking.hits import Reference
from tracking.tokens import BadToken, dumps, loads

SALT = "a purpose"


@pytest.fixture
def plain_encoder(settings):
    settings.TRACKING_ENCODER = PLAIN


def test_the_encoder_can_be_replaced(plain_encoder):
    reference = Reference("shop.affiliate", "7")
    issued_at = datetime.fromtimestamp(1_000_000, UTC)
    token = dumps([1], {"a": "b"}, salt=SALT, url="/", source=reference, issued_at=issued_at)
    assert PlainEncoder.decrypt(token)[0] == [1]
    assert loads(token, salt=SALT) == tokens.Payload(
        [1], {"a": "b"}, url="/", source=reference, issued_at=issued_at
    )


def test_a_replaced_encoder_keeps_purposes_apart(plain_encoder):
    with pytest.raises(BadToken, match="another purpose"):
        loads(dumps([1], {}, salt=tokens.PIXEL), salt=tokens.REDIRECT)


@given(text=st.text(max_size=50))
def test_whatever_a_replaced_encoder_raises_is_a_bad_token(text):
    from django.test import override_settings

    with override_settings(TRACKING_ENCODER=PLAIN):
        with pytest.raises(BadToken):
            loads(text, salt=SALT)
        with pytest.raises(BadToken):
            loads(PlainEncoder.encrypt(text).decode(), salt=SALT)


def test_an_encoder_that_cannot_be_imported_is_a_wrong_setting(settings):
    settings.TRACKING_ENCODER = "tests.nowhere.Encoder"
    with pytest.raises(ImproperlyConfigured, match="TRACKING_ENCODER"):
        dumps([1], {}, salt=SALT)


class InstanceEncoder(PlainEncoder):
    """An encoder whose methods need an instance."""

    def encrypt(self, *args, **kwargs):
        return PlainEncoder.encrypt(*args, **kwargs).decode()

    def decrypt(self, token):
        return PlainEncoder.decrypt(token)


def test_an_encoder_may_need_an_instance(settings):
    settings.TRACKING_ENCODER = "tests.tokens.test_site_encoder.InstanceEncoder"
    assert loads(dumps([1], {"a": 2}, salt=SALT), salt=SALT).args == [1]


@pytest.mark.parametrize(
    "own",
    [
        7,
        {},
        {"salt": SALT},
        {"salt": SALT, "url": None, "source": 7},
        {"salt": SALT, "url": 1, "issued_at": "x"},
    ],
)
def test_malformed_claims_of_a_replaced_encoder_are_a_bad_token(plain_encoder, own):
    with pytest.raises(BadToken):
        loads(PlainEncoder.encrypt(**{"tracking:token": own}).decode(), salt=SALT)


def test_a_replaced_encoder_names_what_it_cannot_take(plain_encoder):
    with pytest.raises(TypeError, match=r"args\[1\] is a tuple"):
        dumps([1, (2,)], {}, salt=SALT)
