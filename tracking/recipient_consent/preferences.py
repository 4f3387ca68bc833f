"""The page on which a recipient says whether its opens and clicks are recorded.

A GET changes nothing, however often scanners follow the link. Its template,
``tracking/preferences.html``, is made to be replaced or extended.
"""

from datetime import timedelta

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import get_language

from tracking.conf import conf
from tracking.db.isolation import savepoints
from tracking.hits import Kind
from tracking.log_limits import get_logger
from tracking.models import ConsentState
from tracking.recipient_consent import ledger
from tracking.recipient_consent.address_key import AddressKeyLost
from tracking.recipient_consent.decisions import records_state
from tracking.recipient_consent.recipient_pages import load, respond
from tracking.recipient_consent.recipients import Recipient
from tracking.responses import public_view
from tracking.tokens import PREFERENCES

logger = get_logger(__name__)

TEMPLATE = "tracking/preferences.html"

#: How a change on this page is noted.
HOW = "preferences page"

#: So many changes of a recipient are taken in a day; after that it can only refuse. Otherwise
#: anybody with the link could fill the history.
MAX_CHANGES = 50


@public_view
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Show the two switches, and note what the recipient has chosen.

    Args:
        request: the request; a POST has ``opens`` and ``clicks`` where they are switched on.
        token: the part of the URL that ``{% tracking_preferences_url %}`` has made.

    Returns:
        The page; after a POST a redirect to it. Status 429 if a recipient has changed its mind
        too often on this day, 503 if the database does not answer.

    Raises:
        django.http.Http404: this site has not made the token.
    """
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    recipient, _payload = load(token, PREFERENCES, request.path)
    try:
        with savepoints():
            if request.method == "POST":
                return _save(request, recipient)
            said = ledger.state(recipient)
    except (Error, AddressKeyLost, ValueError):
        logger.exception("The preferences of a recipient cannot be read or saved")
        return respond(request, TEMPLATE, {"failed": True}, 503)
    return respond(request, TEMPLATE, {"saved": "saved" in request.GET, **_switches(said)})


def _save(request: HttpRequest, recipient: Recipient) -> HttpResponse:
    opens, clicks = (
        ConsentState.GRANTED if request.POST.get(name) else ConsentState.DENIED
        for name in ("opens", "clicks")
    )
    if ConsentState.GRANTED in (opens, clicks) and _has_changed_too_often(recipient):
        said = ledger.state(recipient)
        return respond(request, TEMPLATE, {"too_often": True, **_switches(said)}, 429)
    text = conf.mail_consent_text or f"{TEMPLATE} {get_language() or ''}".rstrip()
    ledger.set_states(recipient, opens, clicks, HOW, text)
    return HttpResponseRedirect(f"{request.path}?saved", status=303)


def _has_changed_too_often(recipient: Recipient) -> bool:
    since = timezone.now() - timedelta(days=1)
    recent = ledger.history(recipient).filter(changed_at__gte=since, how=HOW)
    return recent.count() >= MAX_CHANGES


def _switches(said: ledger.ConsentOf) -> dict[str, object]:
    """Return whether the switches are on: whether hits are recorded now."""
    return {
        "opens": records_state(Kind.OPEN, said.opens),
        "clicks": records_state(Kind.CLICK, said.clicks),
        "said": said,
    }
