"""Template tags of the admin pages."""

from datetime import date, datetime
from typing import Any

from django import template
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import ChangeList
from django.utils import formats, timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

register = template.Library()


@register.inclusion_tag("admin/date_hierarchy.html")
def time_hierarchy(cl: ChangeList) -> dict[str, Any]:
    """Render the date hierarchy of a list: links to years, months and days.

    Django's own tag reads every row to leave out dates without rows. This one reads the first
    and the last row, and offers all dates in between.
    """
    field = cl.date_hierarchy
    keys = [f"{field}__{part}" for part in ("year", "month", "day")]
    context = {"show": False, "field_name": label_for_field(field, cl.model)}
    first, last = _first_and_last_day(cl, field)
    if first is None or last is None:
        return context
    chosen = _chosen(cl, keys) or _shared_parts(first, last)

    def link(*parts: int) -> str:
        return cl.get_query_string(dict(zip(keys, parts, strict=False)), [f"{field}__"])

    choices = [
        {"title": _title(parts), "link": link(*parts)}
        for parts in _choices_below(chosen, first, last)
    ] or [{"title": _title(chosen)}]
    back = None
    if chosen:
        above = chosen[:-1]
        back = {"link": link(*above), "title": _title(above) if above else _("All dates")}
    return {**context, "show": True, "back": back, "choices": choices}


def _first_and_last_day(cl: ChangeList, field: str) -> tuple[date | None, date | None]:
    """Return the days of the first and the last row, with two index look-ups."""
    moments = cl.model._default_manager.values_list(field, flat=True)
    first = moments.order_by(field).first()
    last = moments.order_by(f"-{field}").first()
    return _day(first), _day(last)


def _day(moment: datetime | None) -> date | None:
    if moment is None:
        return None
    return (timezone.localtime(moment) if timezone.is_aware(moment) else moment).date()


def _chosen(cl: ChangeList, keys: list[str]) -> tuple[int, ...]:
    """Return the year, month and day in the URL, as far as given."""
    chosen: tuple[int, ...] = ()
    for key in keys:
        value = str(cl.params.get(key, ""))
        if not value.isdecimal() or _first_day((*chosen, int(value))) is None:
            break
        chosen = (*chosen, int(value))
    return chosen


def _shared_parts(first: date, last: date) -> tuple[int, ...]:
    """Return the year, or year and month, that all rows share."""
    if (first.year, first.month) == (last.year, last.month):
        return first.year, first.month
    return (first.year,) if first.year == last.year else ()


def _choices_below(chosen: tuple[int, ...], first: date, last: date) -> list[tuple[int, ...]]:
    """Return the choices one level below ``chosen``, between the first and the last day."""
    size = len(chosen) + 1
    below = (range(first.year, last.year + 1), range(1, 13), range(1, 32), ())[size - 1]
    lowest, highest = first.timetuple()[:size], last.timetuple()[:size]
    choices = [(*chosen, number) for number in below]
    return [parts for parts in choices if lowest <= parts <= highest and _first_day(parts)]


def _first_day(parts: tuple[int, ...]) -> date | None:
    """Return the first day of a year, month or day, or ``None`` if the date is invalid."""
    year, month, day = (*parts, 1, 1)[:3]
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None


def _title(parts: tuple[int, ...]) -> str:
    pattern = ("", "Y", "YEAR_MONTH_FORMAT", "MONTH_DAY_FORMAT")[len(parts)]
    return capfirst(formats.date_format(_first_day(parts) or "", pattern))
