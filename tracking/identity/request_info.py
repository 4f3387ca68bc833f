"""Which visitor a request comes from, where the site tracks visitors."""

from django.http import HttpRequest

from tracking.caching import snapshots
from tracking.identity import browser_consent, daily_salt, visitor_key

_MARK = "tracks_visitors"
_AWAY = "tracking_database_is_away"


def mark(request: HttpRequest) -> None:
    """Note that a request goes through the middleware that tracks visitors."""
    setattr(request, _MARK, True)


def is_marked(request: HttpRequest) -> bool:
    """Return whether the request went through that middleware."""
    return getattr(request, _MARK, False)


def refresh(request: HttpRequest) -> None:
    """Bring the snapshots up to date if it is time, and note if the database does not answer."""
    if snapshots.is_due() and not snapshots.refresh():
        setattr(request, _AWAY, True)


async def arefresh(request: HttpRequest) -> None:
    """Do the same without holding up the event loop."""
    if snapshots.is_due() and not await snapshots.arefresh():
        setattr(request, _AWAY, True)


def is_told(request: HttpRequest) -> bool:
    """Return whether the log has a line already that the database was away for this request."""
    return getattr(request, _AWAY, False)


def key_of(request: HttpRequest) -> str | None:
    """Return the key of the visitor, or ``None`` if the site or the visitor does not want one.

    Args:
        request: the request as Django hands it to a view.
    """
    if not is_marked(request):
        return None
    agreed = browser_consent.of(request)
    if agreed is browser_consent.Consent.REFUSE:
        return None
    return visitor_key.recognise(request, daily_salt.today(), agreed).key
