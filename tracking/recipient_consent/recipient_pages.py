"""Who follows a link to the preferences or to unsubscribe: its token names the recipient.

Anybody with such a link may use it: a recipient of mail has no account, and no other proof. So
these pages need no protection against CSRF, and set no cookie.
"""

from collections.abc import Mapping

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from tracking import tokens
from tracking.links import TRAILING
from tracking.log_limits import get_logger
from tracking.recipient_consent.recipients import Recipient
from tracking.tokens import BadToken, Payload

logger = get_logger(__name__)

#: The token is in the URL: it must not get to other sites, to caches or into search engines, and
#: no other site may show the page in a frame and have its buttons clicked.
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "DENY",
}


def load(token: str, salt: str, path: str) -> tuple[Recipient, Payload]:
    """Return the recipient that a token names, and all that it contains.

    Args:
        token: the text from the URL.
        salt: the purpose.
        path: the path of the request, for the log.

    Raises:
        django.http.Http404: this site has not made the token for this purpose.
    """
    try:
        try:
            payload = tokens.loads(token, salt=salt)
        except BadToken:
            trimmed = token.rstrip(TRAILING)
            if trimmed == token:
                raise
            payload = tokens.loads(trimmed, salt=salt)
        return payload.entity or str(payload.kwargs["address"]), payload
    except (BadToken, KeyError) as error:
        logger.info("%r names no recipient: %s", path, error)
        raise Http404("This link leads nowhere.") from error


def respond(
    request: HttpRequest, template: str, context: Mapping[str, object], status: int = 200
) -> HttpResponse:
    """Return a page that nobody but the recipient is to see.

    Args:
        request: the request.
        template: the name of the template.
        context: what the template shows.
        status: the status of the response.
    """
    response = render(request, template, {**context}, status=status)
    for name, value in _HEADERS.items():
        response[name] = value
    return response
