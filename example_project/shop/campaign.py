"""Send the spring letter: one message to each subscriber, with one of two subjects."""

from collections.abc import Iterator

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from shop.models import Offer, Product, Subscriber
from tracking.models import Source

#: The subjects to compare. Each half of the subscribers gets one.
SUBJECTS = {
    "a": "The first tea of spring is here",
    "b": "{name}, your first flush has arrived",
}

CAMPAIGN = "spring-letter"

#: The tea that the letter is about.
PRODUCT = "first-flush-darjeeling"


def sources(campaign: str = CAMPAIGN) -> list[Source]:
    """Return the mailings of a campaign, one for each subject. They are made on first use."""
    title = campaign.replace("-", " ").capitalize()
    return [
        Source.objects.get_or_create(
            slug=f"{campaign}-{letter}",
            defaults={
                "name": f"{title} {letter.upper()}: “{subject.format(name='Name')}”",
                "medium": "email",
                "campaign": campaign,
                "content": f"subject {letter.upper()}",
            },
        )[0]
        for letter, subject in SUBJECTS.items()
    ]


def utm(source: Source) -> dict[str, str]:
    """Return the UTM parameters that the links of a mailing get."""
    return {"utm_medium": source.medium, "utm_campaign": source.campaign}


def send(campaign: str = CAMPAIGN) -> int:
    """Send the campaign to every subscriber.

    Args:
        campaign: its name, the beginning of the slugs of its mailings.

    Returns:
        The number of messages sent.
    """
    connection = mail.mailers.default if hasattr(mail, "mailers") else mail.get_connection()
    return connection.send_messages(list(messages(campaign))) or 0


def messages(campaign: str = CAMPAIGN) -> Iterator[EmailMultiAlternatives]:
    """Yield the message for each subscriber, in plain text and in HTML.

    The backend makes links and pixel of them: ``message.tracking`` says for whom they count.
    """
    context = {
        "base_url": settings.TRACKING_BASE_URL,
        "product": Product.objects.get(slug=PRODUCT),
        "others": Product.objects.exclude(slug=PRODUCT),
        "offer": Offer.objects.select_related("product").get(code="spring-20"),
    }
    mailings = sources(campaign)
    subjects = list(SUBJECTS.values())
    for number, subscriber in enumerate(Subscriber.objects.select_related("affiliate")):
        variant = number % len(subjects)
        subject = subjects[variant].format(name=subscriber.name.split()[0])
        context |= {"subscriber": subscriber, "affiliate": subscriber.affiliate, "title": subject}
        message = EmailMultiAlternatives(
            subject=subject,
            body=render_to_string("shop/mail/campaign.txt", context),
            to=[subscriber.email],
        )
        message.attach_alternative(
            render_to_string("shop/mail/campaign.html", context), "text/html"
        )
        message.tracking = {
            "source": mailings[variant],
            "entity": subscriber,
            "text": True,
            "utm": utm(mailings[variant]),
        }
        yield message
