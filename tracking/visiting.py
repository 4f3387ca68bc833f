"""Which visitor a request comes from, where the site tracks visitors."""

from django.http import HttpRequest

from tracking import consent, identity, salts

_MARK = "tracks_visitors"


def mark(request: HttpRequest) -> None:
    """Note that a request goes through the middleware that tracks visitors."""
    setattr(request, _MARK, True)


def is_marked(request: HttpRequest) -> bool:
    """Return whether the request went through that middleware."""
    return getattr(request, _MARK, False)


def key_of(request: HttpRequest) -> str | None:
    """Return the key of the visitor, or ``None`` if the site or the visitor does not want one.

    Args:
        request: the request as Django hands it to a view.
    """
    if not is_marked(request):
        return None
    agreed = consent.of(request)
    if agreed is consent.Consent.REFUSE:
        return None
    return identity.recognise(request, salts.today(), agreed).key
