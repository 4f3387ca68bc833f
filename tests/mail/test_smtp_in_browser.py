"""From the backend through a real SMTP server to a reader with Chromium."""

import django
import pytest
from django.core.mail import EmailMultiAlternatives

from tests.site.models import Subscriber
from tests.support.browsers import chromium
from tests.support.mailings import BROWSER
from tests.support.smtp import smtp_server
from tracking.models import Beacon

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHOP = "/tea?a=1&b=%C3%BC#top"  # not found, which does not matter
HTML = """<html><body><!--[if mso]><v:rect href="https://shop.example/outlook"></v:rect><![endif]-->
<p>Grüße, {}: <a href="{}/tea?a=1&amp;b=%C3%BC#top">Tee</a></p>
<a href="https://shop.example/unsubscribe">Abbestellen</a></body></html>"""


@pytest.fixture
def inbox(settings, live_server):
    settings.TRACKING_BASE_URL = live_server.url
    tracking_backend = "tracking.mail.TrackingEmailBackend"
    with smtp_server() as (received, port):
        if django.VERSION >= (6, 1):
            smtp = "django.core.mail.backends.smtp.EmailBackend"
            settings.MAILERS = {
                "default": {"BACKEND": tracking_backend, "OPTIONS": {"mailer": "smtp"}},
                "smtp": {"BACKEND": smtp, "OPTIONS": {"host": "127.0.0.1", "port": port}},
            }
        else:
            settings.EMAIL_BACKEND = tracking_backend
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        yield received


def test_opens_and_clicks_count_for_the_reader_who_got_the_mail(inbox, live_server):
    anna, ben, cleo = (Subscriber.objects.create() for _ in range(3))
    for name, reader in {"Anna": anna, "Ben": ben, "Cleo": cleo}.items():
        message = EmailMultiAlternatives("Frühling", "Hallo", "a@a.example", [f"{name}@b.example"])
        message.attach_alternative(HTML.format(name, live_server.url), "text/html")
        message.tracking = {"campaign": "spring", "entity": reader}
        assert message.send() == 1

    mails = {
        name: message.get_body(("html",)).get_content()
        for name, message in zip(("Anna", "Ben", "Cleo"), inbox.messages, strict=True)
    }
    with chromium() as browser:
        context = browser.new_context(user_agent=BROWSER)
        page = read(context, mails["Anna"])
        page.get_by_role("link", name="Tee").click()
        page.wait_for_url(live_server.url + SHOP)
        read(context, mails["Ben"])

    seen = Beacon.objects.order_by("time").values_list("kind", "entity_id", "url")
    assert [(kind, entity, url) for kind, entity, url in seen] == [
        ("sent", str(anna.pk), ""),
        ("sent", str(ben.pk), ""),
        ("sent", str(cleo.pk), ""),
        ("open", str(anna.pk), ""),
        ("click", str(anna.pk), live_server.url + SHOP),
        ("open", str(ben.pk), ""),
    ]


def read(context, html):
    """Return a page that shows a mail, whose images have loaded."""
    page = context.new_page()
    page.set_content(html, wait_until="load")
    assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [1]
    assert page.get_by_text("Abbestellen").get_attribute("href").endswith("/unsubscribe")
    return page
