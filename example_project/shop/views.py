"""The shop's pages, and an outbox that shows mail as a mail client would."""

from email.message import EmailMessage

from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST

import tracking
from shop import campaign, outbox
from shop.models import Affiliate, Offer, Product, Subscriber
from tracking.hits import Kind
from tracking.models import Beacon, Source

#: Messages on a page of the outbox.
MESSAGES = 50


def home(request: HttpRequest) -> HttpResponse:
    """Show products, offers and affiliates."""
    context = {
        "products": Product.objects.all(),
        "offers": Offer.objects.select_related("product"),
        "affiliates": Affiliate.objects.all(),
    }
    return render(request, "shop/home.html", context)


def product(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a product, with the offer of the code in the URL."""
    product = get_object_or_404(Product, slug=slug)
    offer = product.offers.filter(code=request.GET.get("code", "")).first()
    return render(request, "shop/product.html", {"product": product, "offer": offer})


@require_POST
def buy(request: HttpRequest, slug: str) -> HttpResponse:
    """Sell a product: the goal of the shop's mailings."""
    product = get_object_or_404(Product, slug=slug)
    tracking.record("purchase", request, value=product.price, product=product.slug)
    return redirect("thanks")


def thanks(request: HttpRequest) -> HttpResponse:
    """Thank for a purchase."""
    return render(request, "shop/thanks.html")


def live(request: HttpRequest) -> HttpResponse:
    """Show who is in the shop now, to users who may see it. Ask others to log in."""
    if not request.user.has_perm("tracking.view_visitor"):
        return render(request, "shop/live_refused.html", status=403)
    return render(request, "shop/live.html")


def outbox_list(request: HttpRequest) -> HttpResponse:
    """List the messages of the outbox, page by page."""
    counts = _opens_and_clicks()
    page = Paginator(list(outbox.messages()), MESSAGES).get_page(request.GET.get("page"))
    rows = [
        {"name": name, "message": message, "counts": counts.get(message["To"], {})}
        for name, message in page
    ]
    return render(request, "shop/outbox.html", {"rows": rows, "page": page})


def _opens_and_clicks() -> dict[str, dict[str, int]]:
    """Return opens and clicks of the letter by people, by the address of the subscriber."""
    subscribers = ContentType.objects.get_for_model(Subscriber)
    counted = (
        Beacon.objects.people()
        .filter(
            entity_type=subscribers,
            source_type=ContentType.objects.get_for_model(Source),
            source_id__in=[str(mailing.pk) for mailing in campaign.sources()],
        )
        .values("entity_id")
        .annotate(
            opens=Count("pk", filter=Q(kind=Kind.OPEN)),
            clicks=Count("pk", filter=Q(kind=Kind.CLICK)),
        )
    )
    by_id = {row["entity_id"]: row for row in counted}
    return {
        email: by_id[str(pk)]
        for pk, email in Subscriber.objects.values_list("pk", "email")
        if str(pk) in by_id
    }


def outbox_message(request: HttpRequest, name: str) -> HttpResponse:
    """Show a message with its headers."""
    return render(request, "shop/message.html", {"name": name, "message": _message(name)})


@xframe_options_sameorigin
def outbox_body(request: HttpRequest, name: str) -> HttpResponse:
    """Return the HTML of a message, sandboxed as a mail client would."""
    body = _message(name).get_body(["html"])
    html = body.get_content() if body else ""
    # Links open in a new window. Scripts, forms and cookies are blocked.
    response = HttpResponse(html.replace("<head>", '<head><base target="_blank">', 1))
    response["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox; script-src 'none'"
    )
    return response


def _message(name: str) -> EmailMessage:
    message = outbox.message(name)
    if message is None:
        raise Http404(f"There is no message {name} in the outbox.")
    return message
