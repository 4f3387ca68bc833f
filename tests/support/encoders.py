"""An encoder of tokens, as a site may have one."""

import base64
import json

#: A path for ``TRACKING_ENCODER``.
PLAIN = "tests.support.encoders.PlainEncoder"


class PlainEncoder:
    """An encoder as django-ptrack documents it: two static methods."""

    @staticmethod
    def encrypt(*args, **kwargs):
        return base64.urlsafe_b64encode(json.dumps([args, kwargs]).encode()).rstrip(b"=")

    @staticmethod
    def decrypt(token):
        return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
