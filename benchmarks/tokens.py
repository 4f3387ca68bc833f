"""Tokens: their length, and the cost of reading one with one key, three keys and django-ptrack."""

import base64
import json
from functools import partial

import nacl.secret
from django.test import override_settings

from benchmarks.measuring import Variant, compare, print_row, print_spread, ratios
from tracking import tokens

PAYLOAD = ([12345], {"campaign": "spring-sale", "user": 987654})
OLDEST = "the oldest secret of them all, still in mail"
ONE = partial(override_settings, TRACKING_SECRET_KEYS=[OLDEST])
THREE = partial(override_settings, TRACKING_SECRET_KEYS=["just made", "made before", OLDEST])


def ptrack_dumps(*args: object, **kwargs: object) -> str:
    """Return a token in the format of django-ptrack 2.2: JSON in a SecretBox, as base64url."""
    box = nacl.secret.SecretBox(b"k" * nacl.secret.SecretBox.KEY_SIZE)
    return base64.urlsafe_b64encode(box.encrypt(json.dumps((args, kwargs)).encode())).decode()


def ptrack_loads(token: str) -> object:
    """Return the payload of such a token."""
    box = nacl.secret.SecretBox(b"k" * nacl.secret.SecretBox.KEY_SIZE)
    return json.loads(box.decrypt(base64.urlsafe_b64decode(token.encode())))


def main() -> None:
    """Measure and print."""
    with ONE():
        token = tokens.dumps(*PAYLOAD, salt=tokens.PIXEL)
    loads = partial(tokens.loads, token, salt=tokens.PIXEL)
    dumps = partial(tokens.dumps, *PAYLOAD, salt=tokens.PIXEL)
    theirs = ptrack_dumps(*PAYLOAD[0], **PAYLOAD[1])
    rounds = compare(
        {
            "loads": Variant(loads, ONE),
            "three": Variant(loads, THREE),
            "dumps": Variant(dumps, ONE),
            "ptrack": Variant(partial(ptrack_loads, theirs)),
        }
    )
    print_row("reference payload", f"{len(token)} characters", "at most 72")
    print_row("  of django-ptrack", f"{len(theirs)} characters", "")
    print_spread("loads", rounds["loads"], "µs", "at most 4 µs")
    print_spread("  of django-ptrack", rounds["ptrack"], "µs", "")
    print_spread(
        "  ours to theirs", ratios(rounds["loads"], rounds["ptrack"]), "times", "at most 0.67"
    )
    print_spread(
        "loads, by the last of three keys",
        ratios(rounds["three"], rounds["loads"]),
        "times one key",
        "at most 1.10",
    )
    print_spread("dumps", rounds["dumps"], "µs", "")
