"""The text of a ban list's file: gzip, UTF-8, UTF-16, and Latin-1 as German Excel writes it."""

import codecs
import gzip
import io
import re
import zlib

from django.utils.translation import gettext as _

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# These bytes are no letters of a text in Latin-1.
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")

#: Bytes that tell UTF-16 without a byte order mark: every second one is 0.
_SAMPLE = 64


class UnreadableFileError(ValueError):
    """The file contains no text; the message is translated."""


class FileTooLargeError(UnreadableFileError):
    """The uncompressed file is too large."""


def decode_list(data: bytes, max_size: int | None = None) -> str:
    """Return the text of a file.

    Args:
        data: the content, perhaps compressed by gzip.
        max_size: bytes of the uncompressed file; any number by default.

    Raises:
        UnreadableFileError: the file is not text, or damaged.
        FileTooLargeError: it is larger.
    """
    if data.startswith(_GZIP):
        data = _decompress(data, max_size)
    if max_size is not None and len(data) > max_size:
        raise FileTooLargeError(_("The file is too large."))
    is_marked = data.startswith(_BYTE_ORDER_MARKS)
    encoding = "utf-16" if is_marked else _utf_16_without_mark(data) or "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        # A mark in the middle: files in several encodings were joined.
        has_marks = any(mark in data for mark in _BYTE_ORDER_MARKS)
        if has_marks or _CONTROL.search(data):
            message = _("The file is not text (utf-8, utf-16 or latin-1).")
            raise UnreadableFileError(message) from error
    try:
        return data.decode("cp1252")  # Latin-1, and what Windows adds to it
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decompress(data: bytes, max_size: int | None) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(-1 if max_size is None else max_size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFileError(_("The compressed file is damaged.")) from error


def _utf_16_without_mark(data: bytes) -> str | None:
    sample = data[:_SAMPLE]
    if len(data) % 2 or not sample:
        return None
    even, odd = sample[::2], sample[1::2]
    if not any(odd) and all(even):
        return "utf-16-le"
    if not any(even) and all(odd):
        return "utf-16-be"
    return None
