"""The settings of the app: one typed property each, read when it is asked for.

    from tracking.conf import conf

    conf.base_url        # "https://mail.example.com", or "" where nothing is set

Reading on access is what makes ``override_settings`` work without reload code. A
property answers with the setting as the site wrote it; whether it makes sense is
told by the system checks (:mod:`tracking.checks`), so that a wrong value is a
numbered message with a hint and never an error at import.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

PREFIX = "TRACKING_"


class Settings:
    """The app's view of ``django.conf.settings``."""

    @property
    def secret_keys(self) -> Sequence[str | bytes]:
        """``TRACKING_SECRET_KEYS``: the secrets of the tokens, newest first.

        The first makes new tokens, all of them read. Sites that share them (and the
        URL prefix) read each other's tokens. Default: ``SECRET_KEY`` followed by
        ``SECRET_KEY_FALLBACKS``.
        """
        keys: Sequence[str | bytes] | None = self._get("SECRET_KEYS", None)
        if keys is None:
            # An empty fallback, from a variable that is not set, never made any token.
            return [settings.SECRET_KEY, *(key for key in settings.SECRET_KEY_FALLBACKS if key)]
        return keys

    @property
    def token_max_age(self) -> int | None:
        """``TRACKING_TOKEN_MAX_AGE``: seconds after which a pixel or link counts no more.

        Default ``None``: they count for ever. With an age limit the tags date their
        tokens to the day (UTC), so that a mail rendered twice on one day still
        carries one URL.
        """
        age: int | None = self._get("TOKEN_MAX_AGE", None)
        return age

    @property
    def encoder(self) -> str:
        """``TRACKING_ENCODER``: dotted path of what turns payloads into tokens.

        A class (made once, without arguments) or object with ``encrypt(*args, **kwargs) -> str``
        and ``decrypt(token) -> (args, kwargs)``. Default ``""``: authenticated
        encryption as described in :mod:`tracking.tokens`.
        """
        return str(self._get("ENCODER", "") or "")

    @property
    def base_url(self) -> str:
        """``TRACKING_BASE_URL``: scheme and host put in front of pixel and link URLs.

        It may name another domain that runs this app with the same secrets and URL
        prefix. Default ``""``: the host of the request that the template is rendered
        for, and without a request a URL that has no host.
        """
        return str(self._get("BASE_URL", "") or "").rstrip("/")

    @property
    def backend(self) -> str:
        """``TRACKING_BACKEND``: dotted path of the class that takes hits to the database.

        Default: written at once, in the request (``ImmediateBackend``).
        """
        return str(self._get("BACKEND", "tracking.backends.immediate.ImmediateBackend"))

    @property
    def trusted_proxies(self) -> Sequence[str]:
        """``TRACKING_TRUSTED_PROXIES``: networks of proxies that are believed about the client.

        Addresses or networks in CIDR notation, IPv4 or IPv6, and ``"unix"`` for a peer
        behind a unix socket. Default ``[]``: no header is believed.
        """
        proxies: Sequence[str] = self._get("TRUSTED_PROXIES", ())
        return proxies

    @property
    def proxy_count(self) -> int | None:
        """``TRACKING_PROXY_COUNT``: how many proxies stand in front of the site.

        As many hops are believed, or fewer if ``TRACKING_TRUSTED_PROXIES`` is set too.
        Default ``None``: as many as that setting trusts.
        """
        count: int | None = self._get("PROXY_COUNT", None)
        return count

    @property
    def proxy_header(self) -> str:
        """``TRACKING_PROXY_HEADER``: where the proxies write whom they had a request from.

        Default ``"X-Forwarded-For"``. ``"Forwarded"`` is read as RFC 7239 has it, any other
        as a list of addresses.
        """
        header = self._get("PROXY_HEADER", None)
        return "X-Forwarded-For" if header is None else str(header)

    @property
    def anonymize_ip(self) -> bool | Sequence[int]:
        """``TRACKING_ANONYMIZE_IP``: whether addresses are masked before they are recorded.

        ``True`` keeps the first 24 bits of IPv4 and 48 of IPv6, a pair of numbers as many
        as it says. Default ``False``: addresses are kept whole.
        """
        anonymize: bool | Sequence[int] = self._get("ANONYMIZE_IP", False)
        return anonymize

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)


conf = Settings()

#: Every setting above by its full name, for the check that finds misspelled ones.
NAMES = frozenset(
    PREFIX + name.upper() for name, member in vars(Settings).items() if isinstance(member, property)
)
