from datetime import date
from decimal import Decimal
from functools import partial
from html.parser import HTMLParser

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from tests.site.models import (
    Affiliate,
    BrokenOffer,
    Leaflet,
    Offer,
    Product,
    Seat,
    Subscriber,
    WagtailPage,
)
from tracking import links, tokens
from tracking.destinations import BadDestination
from tracking.models import Beacon

pytestmark = pytest.mark.django_db


def render(source, **context):
    return Template("{% load tracking_tags %}" + source).render(Context(context))


def attributes(html):
    """Return the attributes of the one tag in ``html``."""
    found = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Collector().feed(html)
    [(tag, attrs)] = found
    return tag, attrs


def payload_of(url, salt=tokens.PIXEL):
    return tokens.loads(url.rpartition("/")[2].removesuffix(".gif"), salt=salt)


def test_the_pixel_is_an_image_without_alternative_text():
    tag, attrs = attributes(render("{% tracking_pixel 'news' campaign='spring' %}"))
    assert tag == "img"
    assert attrs.pop("src").startswith("/t/")
    assert attrs == {"width": "1", "height": "1", "alt": ""}


def test_the_link_is_a_url():
    url = render("{% tracking_link 'https://shop.example/?a=1&b=2' campaign='spring' %}")
    assert url.startswith("/t/")
    payload = payload_of(url, tokens.REDIRECT)
    assert payload.url == "https://shop.example/?a=1&b=2"
    assert payload.kwargs == {"campaign": "spring"}


def test_each_set_of_arguments_has_a_url_of_its_own_and_always_the_same_one():
    template = "{% tracking_pixel 'news' number=number %}"
    assert render(template, number=1) == render(template, number=1)
    assert render(template, number=1) != render(template, number=2)


def test_a_page_rendered_twice_on_one_day_is_the_same_with_an_age_limit(settings):
    settings.TRACKING_TOKEN_MAX_AGE = 3600
    template = "{% tracking_pixel 'news' %}"
    assert render(template) == render(template)
    payload = payload_of(attributes(render(template))[1]["src"])
    assert payload.issued_at is not None
    assert (payload.issued_at.hour, payload.issued_at.minute) == (0, 0)


def test_objects_become_generic_keys_and_the_rest_data(client):
    affiliate, subscriber = Affiliate.objects.create(), Subscriber.objects.create()
    product = Product.objects.create(sku="tea")
    html = render(
        "{% tracking_pixel 'x' source=a entity=s target=p key='v' %}",
        a=affiliate,
        s=subscriber,
        p=product,
    )
    client.get(attributes(html)[1]["src"])
    beacon = Beacon.objects.get()
    assert (beacon.source, beacon.entity, beacon.target) == (affiliate, subscriber, product)
    assert beacon.data == {"args": ["x"], "key": "v"}


def test_a_link_without_url_leads_to_its_target(client):
    offer = Offer.objects.create(url="https://shop.example/offer")
    url = render("{% tracking_link target=offer %}", offer=offer)
    assert client.get(url)["Location"] == "https://shop.example/offer"


def test_the_tags_can_be_kept_in_a_variable():
    html = render("{% tracking_link '/a' as url %}[{{ url }}]")
    assert html.startswith("[/t/")


def test_date_and_decimal_arguments_do_not_break_the_template():
    html = render(
        "{% tracking_pixel day price=price %}", day=date(2026, 2, 28), price=Decimal("1.90")
    )
    payload = payload_of(attributes(html)[1]["src"])
    assert (payload.args, payload.kwargs) == ([date(2026, 2, 28)], {"price": Decimal("1.90")})


@pytest.mark.parametrize("name", ["context", "request", "self", "url", "args", "kwargs", "salt"])
def test_any_name_can_be_a_keyword(name):
    pixel = render("{% tracking_pixel " + name + "='v' %}")
    assert payload_of(attributes(pixel)[1]["src"]).kwargs == {name: "v"}
    link = render("{% tracking_link '/a' " + name + "='v' %}")
    assert payload_of(link, tokens.REDIRECT).kwargs == {name: "v"}


def test_hostile_arguments_stay_inside_the_token():
    html = render("{% tracking_pixel evil k=evil %}", evil="\"'><script>alert(1)</script>\0")
    assert "script" not in html
    _, attrs = attributes(html)
    assert payload_of(attrs["src"]).args == ["\"'><script>alert(1)</script>\0"]


def test_a_base_url_is_escaped(settings):
    settings.TRACKING_BASE_URL = 'https://"><script>'
    assert "<script>" not in render("{% tracking_pixel %}")


def test_an_argument_that_cannot_be_encoded_is_an_error_that_names_it():
    with pytest.raises(TypeError, match=r"kwargs\['tags'\] is a set"):
        render("{% tracking_pixel tags=tags %}", tags={1})


def test_a_source_that_is_no_instance_is_an_error_that_names_it():
    with pytest.raises(TypeError, match="source= expected a model instance, got 'news'"):
        render("{% tracking_pixel source='news' %}")
    with pytest.raises(ValueError, match="save it first"):
        render("{% tracking_pixel entity=unsaved %}", unsaved=Affiliate())


def test_an_anonymous_user_is_not_an_entity():
    html = render(
        "{% tracking_pixel entity=user source=unknown target=None %}",
        user=SimpleLazyObject(AnonymousUser),
    )
    payload = payload_of(attributes(html)[1]["src"])
    assert (payload.entity, payload.source, payload.target) == (None, None, None)


def test_a_logged_in_user_is_an_entity(django_user_model):
    user = django_user_model.objects.create(username="u")
    html = render("{% tracking_pixel entity=user %}", user=SimpleLazyObject(lambda: user))
    assert payload_of(attributes(html)[1]["src"]).entity == ("auth.user", str(user.pk))


def test_a_link_to_nowhere_is_an_error():
    with pytest.raises(BadDestination):
        render("{% tracking_link 'javascript:alert(1)' %}")
    with pytest.raises(ValueError, match="a URL as its first argument, or a target="):
        render("{% tracking_link key='v' %}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Leaflet, r"target= site\.Leaflet has neither get_beacon_url\(\) nor get_absolute_url"),
        (BrokenOffer, r"target= site\.BrokenOffer \d+ does not say where it leads"),
        (WagtailPage, r"target= site\.WagtailPage \d+ leads nowhere"),
        (partial(Offer, url="javascript:alert(1)"), "target= 'javascript.* is not a valid dest"),
    ],
)
def test_a_target_that_leads_nowhere_is_an_error_while_rendering(target, message):
    row = target()
    row.save()
    with pytest.raises(ValueError, match=message):
        render("{% tracking_link target=row %}", row=row)
    # Beside a URL it is only what the beacon refers to.
    assert render("{% tracking_link '/tea/' target=row %}", row=row)


def test_a_lazy_target_leads(client):
    offer = Offer.objects.create(url="https://shop.example/offer")
    url = render("{% tracking_link target=offer %}", offer=SimpleLazyObject(lambda: offer))
    assert client.get(url)["Location"] == "https://shop.example/offer"


def test_a_page_of_wagtail_leads(client):
    page = WagtailPage.objects.create(slug="about")
    assert client.get(render("{% tracking_link target=page %}", page=page))["Location"] == "/about/"


@pytest.mark.parametrize("role", ["source", "entity", "target"])
def test_a_composite_key_is_an_error_that_names_it(role):
    seat = Seat.objects.create(row=1, number=2)
    for tag in ("tracking_pixel", "tracking_link '/tea/'"):
        with pytest.raises(TypeError, match=f"{role}= site.Seat has a composite primary key"):
            render(f"{{% {tag} {role}=seat %}}", seat=seat)


# The host in front.


def test_base_url_stands_in_front(settings):
    settings.TRACKING_BASE_URL = "https://mail.example.com/"
    assert links.pixel_url().startswith("https://mail.example.com/t/")
    request = RequestFactory().get("/")
    assert links.link_url("/a", request=request).startswith("https://mail.example.com/t/")


def test_a_missing_host_is_one_line_in_the_log(caplog, settings):
    links._warn_about_missing_host.cache_clear()
    render("{% tracking_pixel %}", request=RequestFactory().get("/"))
    assert not caplog.records
    for _ in range(3):
        render("{% tracking_pixel %}{% tracking_link '/a' %}")
    [line] = caplog.messages
    assert line.startswith("TRACKING_BASE_URL is not set")
    links._warn_about_missing_host.cache_clear()
    settings.TRACKING_BASE_URL = "https://mail.example.com"
    render("{% tracking_pixel %}")
    assert len(caplog.records) == 1


def test_without_base_url_it_is_the_host_of_the_request():
    request = RequestFactory().get("/", secure=True)
    _, attrs = attributes(render("{% tracking_pixel %}", request=request))
    assert attrs["src"].startswith("https://testserver/t/")


def test_a_host_that_is_not_allowed_does_not_break_the_page():
    request = RequestFactory().get("/", headers={"Host": "evil.example"})
    _, attrs = attributes(render("{% tracking_pixel %}", request=request))
    assert attrs["src"].startswith("/t/")


def test_something_else_called_request_does_not_break_the_page():
    assert "/t/" in render("{% tracking_pixel %}", request="a purchase request")


def test_another_domain_with_the_same_secret_reads_the_token(settings, client, monkeypatch):
    """The site that sends the mail, and a public mirror without its models."""
    settings.TRACKING_SECRET_KEYS = ["shared between both" * 2]
    settings.TRACKING_BASE_URL = "https://public.example"
    subscriber = Subscriber.objects.create()
    url = links.pixel_url(["x"], entity=subscriber)
    settings.SECRET_KEY = "the mirror has another one"
    get_model = apps.get_model

    def get_model_of_the_mirror(label, *args, **kwargs):
        if label == "site.subscriber":
            raise LookupError
        return get_model(label, *args, **kwargs)

    monkeypatch.setattr(apps, "get_model", get_model_of_the_mirror)
    client.get(url.removeprefix("https://public.example"))
    assert Beacon.objects.get().data == {
        "args": ["x"],
        "unresolved": {"entity": ["site.subscriber", str(subscriber.pk)]},
    }


def test_rendering_asks_nothing_of_the_database(django_assert_num_queries):
    affiliate = Affiliate.objects.create()
    with django_assert_num_queries(0):
        render("{% tracking_pixel source=a %}{% tracking_link '/a' source=a %}", a=affiliate)


def test_a_row_that_calls_itself_anonymous_is_a_row():
    donation = Affiliate.objects.create()
    donation.is_anonymous = True
    html = render("{% tracking_pixel source=donation %}", donation=donation)
    assert payload_of(attributes(html)[1]["src"]).source == ("site.affiliate", str(donation.pk))
