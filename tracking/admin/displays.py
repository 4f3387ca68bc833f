"""How lists and pages show what several tables have in common."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext

from tracking import geo
from tracking.admin.large_tables import UNKNOWN
from tracking.agents import Device
from tracking.models.observed import Observed
from tracking.verdicts import Label


def ago(moment: datetime) -> SafeString:
    """Return how long ago something was; exact where the pointer rests."""
    now = timezone.now() if timezone.is_aware(moment) else datetime.now()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="milliseconds"),
        exact(moment),
        gettext("%(time)s ago") % {"time": timesince(moment, depth=1)}
        if now - moment >= timedelta(minutes=1)
        else gettext("just now"),
    )


def exact(moment: datetime) -> str:
    """Return a time to the second, with the time zone."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S %Z}".rstrip()


def length(time: timedelta) -> str:
    """Return a length of time with its units: ``4 min 12 s``."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        gettext("%d h") % hours if hours else "",
        gettext("%d min") % minutes if minutes else "",
        gettext("%d s") % seconds if not hours else "",
    ]
    return " ".join(part for part in parts if part)


def pages(number: int) -> str:
    """Return a number of pages in words."""
    return ngettext("%d page", "%d pages", number) % number


def verdict(row: Observed) -> SafeString:
    """Return the verdict as a small label; its reason where the pointer rests."""
    return format_html(
        '<span class="tracking-label tracking-{}" title="{}">{}</span>',
        row.verdict,
        row.verdict_reason or gettext("Nothing tells of a machine."),
        row.get_verdict_display(),
    )


def unusual_verdict(row: Observed) -> str:
    """Return the verdict, or nothing if nothing tells of a machine."""
    return "" if row.verdict == Label.HUMAN else verdict(row)


def quiet(text: str) -> str:
    """Return a text of less importance than what it stands below."""
    return "" if text == UNKNOWN else format_html('<span class="tracking-quiet">{}</span>', text)


def stacked(*parts: str) -> str:
    """Return what there is, one below the other."""
    return format_html_join(SafeString("<br>"), "{}", ((part,) for part in parts if part))


def verdict_in_full(row: Observed) -> SafeString:
    """Return the verdict and its reason."""
    return format_html("{} {}", verdict(row), row.verdict_reason)


def place(row: Observed) -> str:
    """Return city and country, as far as they are known."""
    country = geo.country_name(row.country) if row.country else ""
    known = ", ".join(part for part in (row.city, country) if part)
    return known or unknown_because_of(row)


def agent(row: Observed) -> str:
    """Return browser, operating system and device, as far as they are known."""
    parts = [row.browser, row.os]
    if row.device in Device.values:
        parts.append(str(Device(row.device).label))
    return " \N{MIDDLE DOT} ".join(part for part in parts if part) or unknown_because_of(row)


def unknown_because_of(row: Observed) -> SafeString:
    """Return the sign for what is not known, with the reason where the pointer rests."""
    reason = gettext("Not known.")
    if row.verdict in {Label.PROXY, Label.PREFETCH}:
        reason = gettext("A mail provider has fetched it: it says nothing about the reader.")
    return format_html('<span title="{}">{}</span>', reason, UNKNOWN)


def site_of(url: str) -> str:
    """Return the host of a URL, for lists: a referrer is text, and no link."""
    try:
        return urlsplit(url).netloc or url or UNKNOWN
    except ValueError:
        return url
