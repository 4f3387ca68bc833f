"""Settings of tokens: secrets, age limit, encoder."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.utils.module_loading import import_string

from tracking.checks.numbers import positive_number_errors
from tracking.checks.tags import TAG
from tracking.conf import conf

#: Shorter secrets can be guessed. 16 random bytes are 128 bits.
MIN_SECRET_LENGTH = 16


@register(TAG, Tags.security)
def check_secret_keys(**_: Any) -> list[CheckMessage]:
    """E001, E002, W002: the secrets of the tokens."""
    keys = getattr(settings, "TRACKING_SECRET_KEYS", None)
    if keys is None:
        return []
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence) or not keys:
        return [
            Error(
                "TRACKING_SECRET_KEYS is empty or not a list of secrets.",
                hint='Set a list with the newest secret first: ["...", "..."].',
                id="tracking.E001",
            )
        ]
    messages: list[CheckMessage] = []
    for index, key in enumerate(keys):
        if not isinstance(key, str | bytes) or not key:
            messages.append(
                Error(
                    f"TRACKING_SECRET_KEYS[{index}] is empty or not a string.",
                    hint="Set a long random secret: anyone who knows it can forge pixels and "
                    "links.",
                    id="tracking.E002",
                )
            )
        elif len(key) < MIN_SECRET_LENGTH:
            messages.append(
                Warning(
                    f"TRACKING_SECRET_KEYS[{index}] has only {len(key)} characters. "
                    f"It needs {MIN_SECRET_LENGTH} or more.",
                    hint="Make one with: python -c 'import secrets; print(secrets.token_hex(32))'.",
                    id="tracking.W002",
                )
            )
    return messages


@register(TAG)
def check_token_max_age(**_: Any) -> list[CheckMessage]:
    """E003: the age limit of tokens."""
    if conf.token_max_age is None:
        return []
    return positive_number_errors(
        "TRACKING_TOKEN_MAX_AGE",
        conf.token_max_age,
        "seconds, or None for no limit",
        id="tracking.E003",
    )


@register(TAG)
def check_encoder(**_: Any) -> list[CheckMessage]:
    """E004: the site's own encoder of tokens."""
    path = conf.encoder
    if not path:
        return []
    try:
        encoder = import_string(path)
        encoder = encoder() if isinstance(encoder, type) else encoder
    except Exception as error:  # noqa: BLE001 - the site's class may raise anything
        return [_encoder_error(f"TRACKING_ENCODER cannot be loaded: {error!r}")]
    missing = [
        name for name in ("encrypt", "decrypt") if not callable(getattr(encoder, name, None))
    ]
    if missing:
        return [_encoder_error(f"TRACKING_ENCODER {path} lacks {' and '.join(missing)}.")]
    return []


def _encoder_error(message: str) -> Error:
    return Error(
        message,
        hint=(
            "Set the dotted path of a class that takes no arguments and has the methods "
            "encrypt(*args, **kwargs) and decrypt(token)."
        ),
        id="tracking.E004",
    )
