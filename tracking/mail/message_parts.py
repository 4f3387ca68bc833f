"""The texts of a message of Django's: its body and its alternatives."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.message import EmailAlternative


class Part(NamedTuple):
    """One text of a message.

    Attributes:
        text: the text.
        is_html: whether it is HTML; else it is plain text.
        replace: puts another text in its place.
    """

    text: str
    is_html: bool
    replace: Callable[[str], None]


def parts(message: EmailMessage) -> Iterator[Part]:
    """Yield the HTML and the plain text of a message.

    Attachments are no parts, and neither are other alternatives, such as AMP or a calendar.

    Args:
        message: the message.

    Raises:
        ValueError: a part is given as bytes that are not in the charset of the message.
    """
    if message.body:
        yield _part(message, message.body, message.content_subtype, _set_body(message))
    for number, alternative in enumerate(getattr(message, "alternatives", None) or ()):
        content, mimetype = alternative
        main, _, subtype = str(mimetype).partition(";")[0].strip().lower().partition("/")
        if main == "text" and subtype in _SUBTYPES:
            yield _part(message, content, subtype, _set_alternative(message, number, mimetype))


_SUBTYPES = frozenset({"html", "plain"})


def _part(
    message: EmailMessage, content: object, subtype: str, replace: Callable[[str | bytes], None]
) -> Part:
    if not isinstance(content, bytes):
        return Part(str(content), subtype == "html", replace)
    charset = str(message.encoding or settings.DEFAULT_CHARSET)
    text = content.decode(charset)
    if text.encode(charset) != content:  # charsets with escape sequences write a text in many ways
        raise ValueError(f"bytes in {charset} would change.")
    return Part(text, subtype == "html", lambda text: replace(text.encode(charset)))


def _set_body(message: EmailMessage) -> Callable[[str | bytes], None]:
    def replace(body: str | bytes) -> None:
        message.body = body  # type: ignore[assignment]

    return replace


def _set_alternative(
    message: EmailMessage, number: int, mimetype: str
) -> Callable[[str | bytes], None]:
    def replace(content: str | bytes) -> None:
        # A new list: copies of a message share the one that they had.
        alternatives = list(message.alternatives)  # type: ignore[attr-defined]
        alternatives[number] = EmailAlternative(content, mimetype)
        message.alternatives = alternatives  # type: ignore[attr-defined]

    return replace


def header(message: EmailMessage, name: str) -> str | None:
    """Return an extra header of a message, whatever the case of its name.

    Args:
        message: the message.
        name: the name of the header.
    """
    for present, value in message.extra_headers.items():
        if present.lower() == name.lower():
            return str(value).strip()
    return None


def unsubscribe_urls(message: EmailMessage) -> frozenset[str]:
    """Return the URLs in ``List-Unsubscribe`` (RFC 2369, section 3.2).

    Args:
        message: the message.
    """
    return frozenset(re.findall(r"<\s*([^>\s]+)\s*>", header(message, "List-Unsubscribe") or ""))
