"""Settings that name templates."""

from typing import Any

from django.core.checks import CheckMessage, Warning, register  # noqa: A004
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from tracking.checks.tags import TAG
from tracking.conf import conf


@register(TAG)
def check_ban_template(**_: Any) -> list[CheckMessage]:
    """W007: the template of the page that banned clients get."""
    return _warnings(
        "TRACKING_BAN_TEMPLATE",
        conf.ban_template,
        hint="Until it loads, banned clients get plain text.",
        id="tracking.W007",
    )


@register(TAG)
def check_map_template(**_: Any) -> list[CheckMessage]:
    """W014: the template of the page of active visitors."""
    return _warnings(
        "DEFAULT_TRACKING_TEMPLATE",
        conf.map_template,
        hint="Until it loads, the page of active visitors fails.",
        id="tracking.W014",
    )


def _warnings(setting: str, template: str, **details: str) -> list[CheckMessage]:
    """Return a warning with these details if the template of a setting cannot be loaded."""
    try:
        get_template(template)
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        return [Warning(f"{setting} {template!r} cannot be loaded: {error}", **details)]
    return []
