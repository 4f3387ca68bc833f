"""Keys that rotate."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from tracking.tokens import BadToken, dumps, keys, loads

SALT = "a purpose"


def test_works_with_nothing_configured_but_secret_key(settings):
    settings.SECRET_KEY = "first"
    token = dumps([1], {}, salt=SALT)
    settings.SECRET_KEY = "second"
    with pytest.raises(BadToken):
        loads(token, salt=SALT)
    settings.SECRET_KEY_FALLBACKS = ["first"]
    assert loads(token, salt=SALT).args == [1]
    assert dumps([1], {}, salt=SALT) != token


def test_keys_rotate_and_retire(settings):
    settings.TRACKING_SECRET_KEYS = ["old" * 8]
    old = dumps([1], {}, salt=SALT)
    settings.TRACKING_SECRET_KEYS = ["new" * 8, "old" * 8]
    new = dumps([1], {}, salt=SALT)
    assert old != new
    assert loads(old, salt=SALT) == loads(new, salt=SALT)
    settings.TRACKING_SECRET_KEYS = ["newest" * 8, "new" * 8]
    assert loads(new, salt=SALT).args == [1]
    with pytest.raises(BadToken):
        loads(old, salt=SALT)


def test_a_site_with_the_same_secret_reads_our_tokens_wherever_it_stands(settings):
    settings.TRACKING_SECRET_KEYS = ["shared" * 4]
    token = dumps([1], {}, salt=SALT)
    settings.SECRET_KEY = "the other site has its own"
    settings.TRACKING_SECRET_KEYS = ["theirs" * 4, b"shared" * 4]
    assert loads(token, salt=SALT).args == [1]


def test_a_ring_of_keys_costs_one_decryption(settings):
    settings.TRACKING_SECRET_KEYS = ["one" * 8]
    token = dumps([1], {}, salt=SALT)
    settings.TRACKING_SECRET_KEYS = ["three" * 8, "two" * 8, "one" * 8]
    ring = keys.key_ring(SALT)
    assert len(ring.ciphers) == 3
    assert [len(ciphers) for ciphers in ring.ciphers.values()] == [1, 1, 1]
    assert loads(token, salt=SALT).args == [1]


def test_two_keys_of_the_same_number_are_both_tried(settings):
    number = keys.derive_key("0", SALT).number
    twin = next(
        secret
        for secret in map(str, range(1, 5000))
        if keys.derive_key(secret, SALT).number == number
    )
    settings.TRACKING_SECRET_KEYS = ["0"]
    token = dumps([1], {}, salt=SALT)
    settings.TRACKING_SECRET_KEYS = [twin, "0"]
    assert loads(token, salt=SALT).args == [1]
    assert loads(dumps([2], {}, salt=SALT), salt=SALT).args == [2]


def test_an_empty_secret_is_refused(settings):
    settings.TRACKING_SECRET_KEYS = [""]
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        dumps([1], {}, salt=SALT)


@pytest.mark.parametrize("keys", ["one text of letters", b"bytes", [], {"a": 1}])
def test_secrets_that_are_no_list_are_refused_and_not_taken_letter_by_letter(settings, keys):
    settings.TRACKING_SECRET_KEYS = keys
    with pytest.raises(ImproperlyConfigured, match="must be a list"):
        dumps([1], {}, salt=SALT)


def test_an_empty_fallback_is_no_secret(settings):
    settings.SECRET_KEY_FALLBACKS = [""]
    assert loads(dumps([1], {}, salt=SALT), salt=SALT).args == [1]
