"""Send a mail campaign: one message to each subscriber."""

from collections.abc import Iterator

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string

from shop.models import Offer, Product, Subscriber


def send(campaign: str) -> int:
    """Send the campaign to every subscriber.

    Args:
        campaign: its name, stored with each open and click.

    Returns:
        The number of messages sent.
    """
    connection = get_connection()
    return connection.send_messages(list(messages(campaign))) or 0


def messages(campaign: str) -> Iterator[EmailMultiAlternatives]:
    """Yield the message for each subscriber, in plain text and in HTML."""
    context = {
        "campaign": campaign,
        "base_url": settings.TRACKING_BASE_URL,
        "product": Product.objects.get(slug="first-flush-darjeeling"),
        "offer": Offer.objects.select_related("product").get(code="spring-20"),
    }
    for subscriber in Subscriber.objects.select_related("affiliate"):
        context |= {"subscriber": subscriber, "affiliate": subscriber.affiliate}
        message = EmailMultiAlternatives(
            subject="The first tea of spring is here",
            body=render_to_string("shop/mail/campaign.txt", context),
            to=[subscriber.email],
        )
        message.attach_alternative(
            render_to_string("shop/mail/campaign.html", context), "text/html"
        )
        yield message
