"""From a mail through a click to a purchase, in Chromium, and what the report says then."""

import json
import re
from decimal import Decimal

import pytest
from django.contrib.admin.utils import quote
from django.core.mail import EmailMultiAlternatives
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

import tracking
from tests.site.models import Subscriber
from tests.support.browsers import chromium
from tests.support.mailings import BROWSER, report_url
from tracking import mail
from tracking.models import Beacon, Source, Visitor
from tracking.reports import campaign, journey

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def tea(request):
    return HttpResponse('<a href="/cart/">To the cart</a>')


def cart(request):
    return HttpResponse('<form method="post" action="/pay/"><button>Pay</button></form>')


@csrf_exempt
def pay(request):
    tracking.record("purchase", request, value=Decimal("49.90"), order="A-1001")
    return HttpResponseRedirect("/thanks/")


def thanks(request):
    return HttpResponse("<h1>Thanks</h1>")


urlpatterns = [
    path("tea/", tea),
    path("cart/", cart),
    path("pay/", pay),
    path("thanks/", thanks),
    path("", include("tests.urls")),
]


@pytest.fixture
def site(settings, request):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "tracking.middleware.VisitorTrackingMiddleware",
    ]
    settings.TRACKING_GOALS = {"Purchase": "purchase", "Thanked": "/thanks/"}
    settings.TRACKING_CURRENCY = "€"
    live_server = request.getfixturevalue("live_server")  # it loads the middleware
    settings.TRACKING_BASE_URL = live_server.url
    return live_server.url


def letter(site, slug, reader):
    """Return the HTML of a mail to a reader, as it is sent."""
    message = EmailMultiAlternatives("Tea", "Tea", "a@a.example", [reader.email])
    message.attach_alternative(f'<p><a href="{site}/tea/">Tea</a></p>', "text/html")
    mail.instrument(message, campaign=slug, entity=reader)
    return message.alternatives[0][0]


def click(context, html):
    """Follow the link of a mail, and return the page it leads to."""
    page = context.new_page()
    page.set_content(html)
    page.get_by_role("link", name="Tea").click()
    page.wait_for_url("**/tea/")
    return page


@pytest.mark.parametrize("has_cookies", [True, False])
def test_from_the_mail_to_the_purchase(site, settings, has_cookies, admin_client):
    settings.TRACKING_COOKIES = has_cookies
    anna, ben = (
        Subscriber.objects.create(email=f"{name}@mail.example") for name in ("anna", "ben")
    )
    letters = letter(site, "spring", anna), letter(site, "summer", ben)
    with chromium() as browser:
        context = browser.new_context(user_agent=BROWSER)
        page = click(context, letters[0])
        page.get_by_role("link", name="To the cart").click()
        page.get_by_role("button", name="Pay").click()
        page.wait_for_url("**/thanks/")
        assert bool(context.cookies()) == has_cookies
        state = context.storage_state()
    spring, summer = Source.objects.get(slug="spring"), Source.objects.get(slug="summer")
    before = campaign(spring)
    with chromium() as browser:  # another mailing to another recipient, in the same browser
        click(browser.new_context(user_agent=BROWSER, storage_state=state), letters[1])
    assert Visitor.objects.count() == 1
    assert Beacon.objects.get(event_name="purchase").source == spring

    report = campaign(spring)
    assert report.goals == before.goals
    assert [(goal.title, goal.unique, goal.total, goal.value) for goal in report.goals] == [
        ("Purchase", 1, 1, Decimal("49.90")),
        ("Thanked", 1, 1, None),
    ]
    assert [goal.total for goal in campaign(summer).goals] == [0, 0]
    assert [(step.what, step.text) for step in journey(spring, anna).steps] == [
        ("open", ""),
        ("click", f"{site}/tea/"),
        ("page_view", "/tea/"),
        ("page_view", "/cart/"),
        ("event", "purchase"),
        ("page_view", "/thanks/"),
        ("event", "/thanks/"),
    ]
    assert [step.text for step in journey(summer, ben).steps][1:] == [f"{site}/tea/", "/tea/"]

    html = admin_client.get(report_url(spring)).content.decode()
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "Purchase 1 1 event 49.90 €" in text.replace("\N{NO-BREAK SPACE}", " ")
    path_of_anna = report_url(spring, f"recipients/site.subscriber/{quote(str(anna.pk))}/")
    assert path_of_anna in html
    assert "/cart/" in admin_client.get(path_of_anna).content.decode()
    found = json.loads(admin_client.get(report_url(spring, "report.json")).content)
    assert found["goals"][0]["value"] == "49.90"


def test_without_consent_nobody_is_tied(site, settings):
    settings.TRACKING_CONSENT = lambda request: False
    anna = Subscriber.objects.create(email="anna@mail.example")
    html = letter(site, "spring", anna)
    with chromium() as browser:
        page = click(browser.new_context(user_agent=BROWSER), html)
        page.get_by_role("link", name="To the cart").click()
        page.get_by_role("button", name="Pay").click()
        page.wait_for_url("**/thanks/")
    event = Beacon.objects.get(event_name="purchase")
    assert (event.source, event.entity, event.visitor_id, event.ip_address) == (None,) * 4
    assert Beacon.objects.clicks().get().visitor_id is None
