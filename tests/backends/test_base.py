import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import AsyncClient, Client

from tests.site.models import Affiliate, Product
from tracking import links
from tracking.backends import BaseBackend, get_backend
from tracking.backends.memory import MemoryBackend
from tracking.hits import Hit, Kind


class Overridden(BaseBackend):
    def send(self, hit):
        raise NotImplementedError


class SlowToMake(MemoryBackend):
    def __init__(self):
        time.sleep(0.05)
        super().__init__()


def hits(number):
    return [Hit(kind=Kind.OPEN) for _ in range(number)]


def test_the_view_hands_over_to_whatever_backend_is_set(settings, client):
    settings.TRACKING_BACKEND = "tracking.backends.memory.MemoryBackend"
    client.get(links.pixel_url(["x"]))
    [hit] = get_backend().hits
    assert hit.data == {"args": ["x"]}


@pytest.mark.parametrize("path", ["tracking.nowhere.Backend", "tracking.hits.Hit", "x"])
def test_what_is_no_backend_is_a_wrong_setting(settings, path):
    settings.TRACKING_BACKEND = path
    with pytest.raises(ImproperlyConfigured, match="TRACKING_BACKEND"):
        get_backend()


def test_a_backend_has_nothing_to_complain_of_by_default():
    assert Overridden().check() == []


def test_threads_share_one_backend(settings):
    settings.TRACKING_BACKEND = "tests.backends.test_base.SlowToMake"
    with ThreadPoolExecutor(5) as pool:
        backends = list(pool.map(lambda _: get_backend(), range(5)))
    assert len(set(map(id, backends))) == 1


class Careless(BaseBackend):
    """A backend of the site that asks the database, and leaves it as it is when that refuses."""

    def send(self, hit):
        Product.objects.create(sku="twice")
        Product.objects.create(sku="twice")


def one_transaction(get_response):
    """A middleware of the site."""

    def middleware(request):
        with transaction.atomic():
            Affiliate.objects.create(name="kept")
            return get_response(request)

    return middleware


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.parametrize("of", ["pixel", "link", "page"])
def test_a_backend_that_fails_leaves_the_transaction_of_the_site_alone(settings, of, in_loop):
    settings.TRACKING_BACKEND = f"{__name__}.Careless"
    settings.MIDDLEWARE = [
        f"{__name__}.one_transaction",
        "tracking.middleware.VisitorTrackingMiddleware",
    ]
    paths = {
        "pixel": links.pixel_url(),
        "link": links.link_url("https://shop.example/"),
        "page": "/page/1",
    }
    get = async_to_sync(AsyncClient().get) if in_loop else Client().get
    response = get(paths[of])
    assert response.status_code in {200, 302}
    assert Affiliate.objects.get().name == "kept"
