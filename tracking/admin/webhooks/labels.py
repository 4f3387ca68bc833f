"""How the state of endpoints and messages is shown."""

from django.utils.html import format_html

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
