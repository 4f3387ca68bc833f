"""Mail: what tracking adds to a message of 40 kB with 50 links, and whether memory grows.

Each round sends a batch by Django's locmem backend, as it is and through TrackingEmailBackend,
which records what was sent on SQLite. The outbox is emptied after each batch.
"""

import re
import time as clock
from pathlib import Path
from typing import Any

import django
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import override_settings

from benchmarks.databases import temporary_database
from benchmarks.measuring import print_row, print_spread, ratios
from tracking.mail import TrackingEmailBackend
from tracking.models import Beacon, Source

MESSAGES = 10_000
BATCH = 500

LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
ROW = (
    '<tr><td style="padding:10px 25px;font-family:Arial,sans-serif">'
    '<a href="https://shop.example/tea/{0}?a=1&amp;b=2" style="color:#336699" target="_blank">'
    '<span style="font-size:14px">Green tea number {0}, the first of the year</span></a>'
    f'<p style="margin:0">{"Fresh and light. " * 32}</p></td></tr>\n'
)
HTML = f"<html><body><table>{''.join(map(ROW.format, range(50)))}</table></body></html>"


def main() -> None:
    """Measure and print."""
    settings: dict[str, Any] = {"TRACKING_BASE_URL": "https://www.shop.example"}
    if django.VERSION >= (6, 1):
        tracking = {"BACKEND": "tracking.mail.TrackingEmailBackend", "OPTIONS": {"mailer": "plain"}}
        settings["MAILERS"] = {"default": tracking, "plain": {"BACKEND": LOCMEM}}
    else:
        settings |= {"EMAIL_BACKEND": LOCMEM, "TRACKING_MAIL_BACKEND": LOCMEM}
    with temporary_database("sqlite") as using, override_settings(**settings):
        if using:
            _measure(using)


def _measure(using: str) -> None:
    source = Source.objects.create(name="Spring", slug="spring")
    backend = mail.mailers.default if django.VERSION >= (6, 1) else TrackingEmailBackend()
    plain: list[float] = []
    tracked: list[float] = []
    memory: list[int] = []
    for _ in range(MESSAGES // BATCH):
        plain.append(_send(backend.sender, source))
        tracked.append(_send(backend, source))
        memory.append(_memory())
    assert Beacon.objects.using(using).sent().count() == MESSAGES
    print_row("messages", f"{MESSAGES:,} of {len(HTML) / 1000:.0f} kB, 50 links", "")
    print_spread("sent as it is", plain, "ms", "")
    print_spread("tracked and recorded", tracked, "ms", "less than 3 ms")
    print_spread("  to sending unchanged", ratios(tracked, plain), "times", "")
    print_row("memory after the second batch", f"{memory[1]:,} kB", "")
    print_row("memory after the last one", f"{memory[-1]:,} kB", "the same")


def _send(backend: Any, source: Source) -> float:
    """Send a batch, and return the milliseconds of one message."""
    messages = []
    for number in range(BATCH):
        message = EmailMultiAlternatives("Spring", "Hello", "a@a.example", [f"{number}@b.example"])
        message.attach_alternative(HTML, "text/html")
        message.tracking = {"source": source, "number": number}  # type: ignore[attr-defined]
        messages.append(message)
    begin = clock.perf_counter()
    backend.send_messages(messages)
    seconds = clock.perf_counter() - begin
    assert len(mail.outbox) == BATCH
    mail.outbox.clear()
    return seconds / BATCH * 1e3


def _memory() -> int:
    """Return the kB of memory that this process has."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0
