"""Values as lists and pages of the admin show them: times, durations, places, verdicts."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext, ngettext, npgettext_lazy

from tracking.enrichment.country_names import country_name
from tracking.enrichment.referrers import Channel, origin
from tracking.enrichment.user_agents import Device
from tracking.enrichment.verdict_reasons import translate_reason
from tracking.enrichment.verdict_rules import Label
from tracking.models import Visit
from tracking.models.base import EnrichmentColumns
from tracking.reports import formatting
from tracking.reports.formatting import UNKNOWN

#: Django's own strings have no case: German says "3 Tage", but "vor 3 Tagen".
_TIME_STRINGS: dict[str, Any] = {
    "year": npgettext_lazy("after 'ago' or 'in'", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("after 'ago' or 'in'", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("after 'ago' or 'in'", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("after 'ago' or 'in'", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("after 'ago' or 'in'", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("after 'ago' or 'in'", "%(num)d minute", "%(num)d minutes", "num"),
}


def elapsed(moment: datetime) -> timedelta:
    """Return the time since ``moment``, or zero: the clock of another machine may be ahead."""
    now = timezone.now() if timezone.is_aware(moment) else datetime.now()
    return max(now - moment, timedelta(0))


def relative_time(moment: datetime) -> SafeString:
    """Return how long ago something was, with the exact time as tooltip."""
    recent = elapsed(moment) < timedelta(minutes=1)
    return time_with_tooltip(moment, gettext("just now") if recent else time_ago(moment))


def time_with_tooltip(moment: datetime, text: str) -> SafeString:
    """Return ``text`` with the exact time as tooltip."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="milliseconds"),
        exact_time(moment),
        text,
    )


def time_ago(moment: datetime) -> str:
    """Return how long ago something was, in its largest unit: ``3 days ago``."""
    time = timesince(moment, time_strings=_TIME_STRINGS, depth=1)
    return gettext("%(time)s ago") % {"time": time}


def time_left(moment: datetime) -> str:
    """Return in how long something will be, in its largest unit: ``in 3 days``."""
    time = timeuntil(moment, time_strings=_TIME_STRINGS, depth=1)
    return gettext("in %(time)s") % {"time": time}


def exact_time(moment: datetime) -> str:
    """Return a time to the second, with the time zone."""
    local = _local(moment)
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S %Z}".rstrip()


def time_of_day(moment: datetime) -> str:
    """Return the time of day, to the second."""
    return f"{_local(moment):%H:%M:%S}"


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def page_count(number: int) -> str:
    """Return a number of pages with its noun: ``3 pages``."""
    return ngettext("%s page", "%s pages", number) % formatting.count(number)


def verdict_label(row: EnrichmentColumns) -> SafeString:
    """Return the verdict as a label, with its reason as tooltip."""
    return format_html(
        '<span class="tracking-label tracking-label-{}" title="{}">{}</span>',
        row.verdict,
        translate_reason(row.verdict_reason) or gettext("No sign of a machine."),
        row.get_verdict_display(),
    )


def verdict_unless_human(row: EnrichmentColumns) -> str:
    """Return the verdict as a label, or ``""`` for a human."""
    return "" if row.verdict == Label.HUMAN else verdict_label(row)


def secondary(text: str) -> str:
    """Return a text that is styled as less important, or ``""`` if it is unknown."""
    return "" if text == UNKNOWN else format_html('<span class="tracking-quiet">{}</span>', text)


def stacked(*parts: str) -> str:
    """Return the non-empty parts, one per line."""
    return format_html_join(SafeString("<br>"), "{}", ((part,) for part in parts if part))


def verdict_with_reason(row: EnrichmentColumns) -> SafeString:
    """Return the verdict as a label, followed by its reason."""
    return format_html("{} {}", verdict_label(row), translate_reason(row.verdict_reason))


def place(row: EnrichmentColumns) -> str:
    """Return city and country, or the sign for unknown."""
    return place_name(row.city, row.country) or unknown(row)


def place_name(city: str, country: str) -> str:
    """Return city and country, as far as known.

    Args:
        city: the name of the city, or ``""``.
        country: the ISO 3166-1 code, two letters, or ``""``.
    """
    name = country_name(country) if country else ""
    # Names are not repeated: Singapore is in Singapore.
    return ", ".join(part for part in dict.fromkeys((city, name)) if part)


def agent(row: EnrichmentColumns) -> str:
    """Return browser, operating system and device, or the sign for unknown."""
    return agent_name(row) or unknown(row)


def agent_name(row: EnrichmentColumns) -> str:
    """Return browser, operating system and device, as far as known."""
    parts = [row.browser, row.os]
    if row.device in Device.values:
        parts.append(str(Device(row.device).label))
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def unknown(row: EnrichmentColumns) -> SafeString:
    """Return the sign for unknown, with the reason as tooltip."""
    reason = gettext("Unknown")
    if row.verdict in {Label.PROXY, Label.PREFETCH}:
        reason = gettext("Loaded by a mail provider, so nothing is known about the reader.")
    return format_html('<span title="{}">{}</span>', reason, UNKNOWN)


def campaign(row: EnrichmentColumns) -> str:
    """Return source, medium and campaign of a visit, as far as known."""
    parameters = (getattr(row, name, "") for name in ("source", "medium", "campaign"))
    return " / ".join(parameter for parameter in parameters if parameter)


def url_text(url: str) -> SafeString:
    """Return a URL as text, not as a link: strangers may have made it up."""
    return format_html('<span class="tracking-url">{}</span>', url)


def came_from(referrer: str, visit: Visit | None) -> str:
    """Return where a reader came from: a site, this site, or ``""`` if nobody knows.

    Args:
        referrer: the referrer of a visitor or visit.
        visit: the visit, if it is known.
    """
    is_internal = visit is not None and visit.channel == Channel.INTERNAL
    return gettext("this site") if is_internal else origin(referrer).source
