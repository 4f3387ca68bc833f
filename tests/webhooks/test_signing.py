import base64
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from tracking.models.webhooks import new_secret
from tracking.webhooks.signing import rotate_secret, secrets_of, signed_headers

NOW = datetime.now(UTC)


@given(body=st.text(), key=st.binary(min_size=24, max_size=64))
def test_the_library_of_standard_webhooks_accepts_what_is_signed(body, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    now = int(datetime.now(UTC).timestamp())
    data = body.encode(errors="surrogatepass") if body.isascii() else body.encode()
    headers = signed_headers("msg_1", now, data, [secret])
    Webhook(secret).verify(data, headers, json_parse=False)


def test_the_example_of_the_library():
    # From the tests of https://github.com/standard-webhooks/standard-webhooks: Python, test_sign.
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_secrets_are_as_long_as_the_specification_asks():
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64


def test_a_secret_that_is_no_base64_is_an_error():
    with pytest.raises(ValueError, match="base64"):
        signed_headers("msg_1", 1, b"", ["whsec_é!"])


def test_for_a_day_both_secrets_sign(endpoint):
    changed, now = endpoint(), timezone.now()
    old = changed.secret
    new = rotate_secret(changed, now)
    changed.refresh_from_db()
    assert secrets_of(changed, now + timedelta(hours=23)) == [new, old]
    assert secrets_of(changed, now + timedelta(hours=25)) == [new]
    headers = signed_headers("msg_1", int(now.timestamp()), b"{}", secrets_of(changed, now))
    for secret in (new, old):
        assert Webhook(secret).verify(b"{}", headers) == {}
