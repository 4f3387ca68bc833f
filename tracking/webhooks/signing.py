"""The headers of a webhook, signed as Standard Webhooks 1.0.0 describes it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

    headers = signed_headers("msg_1", 1674087231, b"{}", ["whsec_…"])
    headers["webhook-signature"]      # "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta

from tracking.models.webhooks import SECRET_PREFIX, WebhookEndpoint, new_secret

#: How long the previous secret signs, too, after a change.
OVERLAP = timedelta(days=1)


def signed_headers(
    identifier: str, timestamp: int, body: bytes, secrets: Iterable[str]
) -> dict[str, str]:
    """Return the three headers that identify, date and sign a webhook.

    Args:
        identifier: the webhook's id, the same with each attempt; it contains no full stop.
        timestamp: the time of the attempt, in seconds since the epoch.
        body: the body as it is sent.
        secrets: the secrets; each signs.

    Raises:
        ValueError: a secret is not base64.
    """
    content = b".".join([identifier.encode(), str(timestamp).encode(), body])
    signatures = (hmac.new(_key(secret), content, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the secrets that sign messages to an endpoint, the newest first."""
    until = endpoint.previous_secret_until
    if endpoint.previous_secret and until is not None and now < until:
        return [endpoint.secret, endpoint.previous_secret]
    return [endpoint.secret]


def rotate_secret(endpoint: WebhookEndpoint, now: datetime) -> str:
    """Give an endpoint a new secret, and return it. The old one signs, too, for a day.

    Args:
        endpoint: the endpoint, which is saved.
        now: the present time.
    """
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_until = now + OVERLAP
    endpoint.secret = new_secret()
    endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
    return endpoint.secret


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as error:
        raise ValueError("The secret of the endpoint is not base64.") from error
