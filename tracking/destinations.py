r"""Where a redirect may lead.

A destination comes from the site itself (an authenticated token, a Target row, a model's
method), never from the query of a request. It is checked nevertheless, so that a mistake in the
site cannot become a ``javascript:`` link or a forged header.

    >>> clean_destination("https://shop.example/a?b=1|2")
    'https://shop.example/a?b=1|2'
    >>> clean_destination("//elsewhere.example/")
    Traceback (most recent call last):
    tracking.destinations.BadDestination: '//elsewhere.example/' leads to another site, ...
"""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext, gettext_noop

#: What a header can contain unchanged: printable ASCII without spaces.
_PLAIN = re.compile(r"[!-~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMES = ("http", "https")

_HOLDS_CONTROL = gettext_noop("%(url)s contains control characters; remove them.")
_LEAVES_SILENTLY = gettext_noop("%(url)s leads to another site, but names neither http nor https.")
_IS_NONE = gettext_noop(
    "%(url)s is not a valid destination: enter an http or https URL with a host, or a path that "
    "begins with '/'."
)


class BadDestination(ValueError):
    """No redirect may lead to this URL.

    Args:
        why: the reason in English, marked for translation, with ``%(url)s`` for the URL.
        url: the URL.
    """

    def __init__(self, why: str, url: str) -> None:
        super().__init__(why, url)
        self.why = why
        self.params = {"url": repr(url)}

    def __str__(self) -> str:
        """Return the reason in English, for logs."""
        return self.why % self.params


def clean_destination(url: str) -> str:
    """Validate a URL and return it as the value of a ``Location`` header.

    A URL in plain ASCII comes back byte for byte. Spaces around it are dropped; spaces within and
    letters outside ASCII are percent-encoded.

    Args:
        url: an absolute ``http`` or ``https`` URL, or a path of this site that begins with one
            slash.

    Raises:
        BadDestination: anything else.
    """
    url = url.strip(" ")
    if _CONTROL.search(url):
        raise BadDestination(_HOLDS_CONTROL, url)
    # Browsers read a backslash as a slash, so that "/\evil.example" leads to another host.
    if url.startswith("/"):
        if url[1:2] in {"/", "\\"}:
            raise BadDestination(_LEAVES_SILENTLY, url)
    elif not _is_absolute(url):
        raise BadDestination(_IS_NONE, url)
    return url if _PLAIN.fullmatch(url) else iri_to_uri(url)


def validate_destination(url: str) -> None:
    """Validate a model field that holds a destination.

    Raises:
        django.core.exceptions.ValidationError: no redirect may lead to ``url``.
    """
    try:
        clean_destination(url)
    except BadDestination as error:
        raise ValidationError(gettext(error.why), params=error.params) from error


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname)
    except ValueError:  # an unclosed "[", a host that normalises to a delimiter
        return False
