"""How the state of endpoints and messages is shown."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from tracking.admin import columns


def state_label(name: str, text: str, details: str = "") -> str:
    """Return a state as a label, with what explains it below.

    Args:
        name: what the style sheet calls it: ``"ok"``, ``"error"`` or ``"off"``.
        text: the state, for people.
        details: the reason or the time, if there is one.
    """
    label = format_html('<span class="tracking-label tracking-label-{}">{}</span>', name, text)
    return columns.stacked(label, columns.secondary(details))


def url_lines(url: str) -> SafeString:
    """Return the URL of an endpoint with its host in the first line and its path below.

    Args:
        url: the URL; without ``https://`` it is shorter, and says the same.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    first = host if scheme == "https" else f"{scheme}://{host}"
    below = f"{slash}{path}" if path else ""
    return format_html(
        '<span class="tracking-host">{}</span>{}',
        first,
        below and format_html("<br>{}", columns.secondary(below)),
    )
