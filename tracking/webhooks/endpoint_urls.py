"""Which URLs an endpoint may have.

>>> problem_of("https://example.com/hooks?list=7") is None
True
"""

from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext_noop

from tracking.client_address import network_of
from tracking.conf import conf
from tracking.webhooks.addresses import is_allowed

MAX_LENGTH = 1_000


class BadUrl(ValueError):
    """A URL that no endpoint may have; the message says why, in English."""


class EndpointUrl:
    """The parts of a valid URL.

    Attributes:
        is_https: whether the connection is encrypted.
        host: the host name in ASCII, or the address without brackets.
        port: the port.
        path: path and query.
    """

    def __init__(self, url: str) -> None:
        """Read a URL.

        Raises:
            BadUrl: no endpoint may have it.
        """
        parts = _split(url)
        self.is_https = parts.scheme == "https"
        self.host = _ascii_host(parts)
        self.port = parts.port or (443 if self.is_https else 80)
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def host_header(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_https else 80) else f"{host}:{self.port}"


def problem_of(url: str) -> str | None:
    """Return why no endpoint may have a URL, in English and marked for translation.

    A host name is not looked up: what it means is checked with each connection.
    """
    try:
        parsed = EndpointUrl(url)
    except BadUrl as error:
        return str(error)
    if network_of(parsed.host) is not None and not is_allowed(parsed.host):
        return gettext_noop(
            "The address is not public. TRACKING_WEBHOOK_NETWORKS can allow its network."
        )
    return None


def _split(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadUrl(gettext_noop("The URL has characters that must be encoded."))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl(gettext_noop("This is not a URL.")) from None
    if len(url) > MAX_LENGTH or not parts.hostname or port == 0:
        raise BadUrl(gettext_noop("This is not a URL."))
    if parts.scheme != "https" and not (parts.scheme == "http" and conf.webhook_http):
        raise BadUrl(gettext_noop("The URL must begin with https://."))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadUrl(gettext_noop("The URL must have neither a user name nor a fragment."))
    return parts


def _ascii_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if network_of(host) is None and ("%" in host or len(host) > 253 or ".." in host):  # noqa: PLR2004 - RFC 1035
        raise BadUrl(gettext_noop("This is not a URL."))
    return host
