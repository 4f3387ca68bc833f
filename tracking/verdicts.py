"""Whether a request is somebody looking, and if not, why not."""

from django.db.models import TextChoices
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class Label(TextChoices):
    """What is thought of the sender of a hit."""

    HUMAN = "human", _("Human")  # nothing tells of a machine
    PROXY = "proxy", _("Mail proxy")  # a person looked, and a mail provider fetched it
    PREFETCH = "prefetch", _("Prefetch")  # a machine, whether or not a person ever looks
    BOT = "bot", _("Bot")


#: Headers by which a client says that nobody has asked for this page yet.
#: ``Sec-Purpose`` is the standard (Fetch, section "Sec-Purpose"); the others are what
#: Chromium, WebKit and Gecko sent before it, and some still do.
_PURPOSE_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_SPECULATIVE = frozenset({"prefetch", "prerender", "preview"})

#: The same headers as WSGI and Django's ASGI handler name them in ``request.META``.
_META_KEYS = tuple((name, "HTTP_" + name.upper().replace("-", "_")) for name in _PURPOSE_HEADERS)


def uncounted(request: HttpRequest) -> str | None:
    """Return why ``request`` must not be counted, or ``None`` if it may be.

    Such a request is answered as any other: it is not an open or a click, but whoever
    sends it must not notice a difference.

    Args:
        request: the request as Django hands it to a view.

    Returns:
        A short reason in English, for logs: the method, or the header that says so.
    """
    if request.method != "GET":
        return f"method {request.method}"
    for name, key in _META_KEYS:
        value = request.META.get(key)
        # "prefetch;prerender" and "prefetch;anonymous-client-ip" are prefetches too.
        if value and value.partition(";")[0].strip().lower() in _SPECULATIVE:
            return f"{name}: {value}"
    return None
