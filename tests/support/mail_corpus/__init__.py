"""Mails as they are in the wild, written for the tests."""

from tests.support.mail_corpus.addresses import ADDRESSES, LEFTOVERS, UNSUBSCRIBE
from tests.support.mail_corpus.broken import BROKEN
from tests.support.mail_corpus.encodings import ENCODINGS, HUGE
from tests.support.mail_corpus.layouts import LAYOUTS
from tests.support.mail_corpus.mail import Mail

CORPUS: list[Mail] = [
    *LAYOUTS, *BROKEN, *ADDRESSES, *LEFTOVERS, *UNSUBSCRIBE, *ENCODINGS, *HUGE,
]  # fmt: skip
