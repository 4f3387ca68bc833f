"""One click unsubscribes (RFC 8058). The site decides what that means: :data:`unsubscribed`.

The provider of the mailbox sends a POST. People who follow the link get a page with a button:
scanners follow links, too, so a GET changes nothing.
"""

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from tracking import generic_references
from tracking.db.isolation import savepoints
from tracking.hits import Reference
from tracking.log_limits import get_logger
from tracking.models import MailConsent
from tracking.recipient_consent.recipient_pages import load, respond
from tracking.responses import public_view
from tracking.signals import unsubscribed
from tracking.tokens import UNSUBSCRIBE

logger = get_logger(__name__)

TEMPLATE = "tracking/unsubscribe.html"

#: What a provider sends, RFC 8058, section 3.1.
FIELD, ONE_CLICK = "List-Unsubscribe", "One-Click"


@public_view
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button, or send the signal that a recipient unsubscribes.

    Args:
        request: the request; a POST has the field ``List-Unsubscribe``.
        token: the part of the URL that :func:`tracking.links.unsubscribe_url` has made.

    Returns:
        The page; status 400 for a POST without the field, and 500 if a receiver of the signal
        failed or there is none.

    Raises:
        django.http.Http404: this site has not made the token.
    """
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    recipient, payload = load(token, UNSUBSCRIBE, request.path)
    if request.method != "POST":
        return respond(request, TEMPLATE, {})
    if request.POST.get(FIELD) != ONE_CLICK:
        return respond(request, TEMPLATE, {}, 400)
    address = recipient if isinstance(recipient, str) else ""
    with savepoints():
        answers = unsubscribed.send_robust(
            sender=MailConsent,
            entity=_row(payload.entity),
            address=address,
            source=_row(payload.source),
            request=request,
        )
    if not answers:
        logger.error("A recipient unsubscribes, and nothing receives the signal unsubscribed")
    if not answers or any(isinstance(answer, Exception) for _receiver, answer in answers):
        return respond(request, TEMPLATE, {"failed": True}, 500)
    return respond(request, TEMPLATE, {"done": True})


def _row(reference: Reference | None) -> Model | None:
    """Return a row, or ``None`` if it is deleted."""
    if reference is None:
        return None
    try:
        return generic_references.resolve(reference)
    except generic_references.NotFound:
        return None
