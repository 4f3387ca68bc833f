"""The views that URLs lead to, with and without an event loop."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import resolve

from tracking import links, views
from tracking.backends import BaseBackend, get_backend
from tracking.hits import AnyHit

pytestmark = pytest.mark.django_db


class InWhichThread(BaseBackend):
    """Notes which thread sends, and whether its event loop is at work then."""

    def __init__(self):
        self.seen = []

    def send(self, hit: AnyHit) -> None:
        self.seen.append((threading.get_ident(), "send"))

    async def asend(self, hit: AnyHit) -> None:
        self.seen.append((threading.get_ident(), "asend"))


@pytest.fixture
def backend(settings, callbacks):
    settings.TRACKING_BACKEND = f"{__name__}.InWhichThread"
    return get_backend()


def paths():
    return links.pixel_url(), links.link_url("https://shop.example/")


def test_in_an_event_loop_nothing_leaves_it(backend):
    async def ask():
        client = AsyncClient()
        return [(await client.get(path)).status_code for path in paths()], threading.get_ident()

    statuses, loop = async_to_sync(ask)()
    assert statuses == [200, 302]
    assert backend.seen == [(loop, "asend")] * 2


def test_in_a_thread_no_event_loop_is_started(backend):
    assert [Client().get(path).status_code for path in paths()] == [200, 302]
    assert backend.seen == [(threading.get_ident(), "send")] * 2
    assert [resolve(path).func for path in paths()] == [views.pixel, views.redirect]


def test_a_loop_around_code_that_is_none_of_its_tasks_is_no_event_loop(backend, monkeypatch):
    """Playwright has one around its tests, which run while none of its tasks does."""
    loop, statuses = asyncio.new_event_loop(), []

    def around():
        statuses.extend(Client().get(path).status_code for path in paths())
        loop.stop()

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Django itself refuses any loop
    loop.call_soon(around)
    loop.run_forever()
    loop.close()
    assert statuses == [200, 302]
    assert [how for _, how in backend.seen] == ["send"] * 2


def test_what_fails_in_a_loop_is_answered_as_in_a_thread(backend, caplog):
    path = links.pixel_url()
    forged = path.replace(path[5:15], "A" * 10)

    async def ask():
        client = AsyncClient()
        pixel, link = await client.get(forged), await client.get("/t/forged")
        posted = await client.post(links.link_url("https://shop.example/"))
        return pixel.status_code, link.status_code, posted.status_code

    assert async_to_sync(ask)() == (200, 404, 405)
    assert backend.seen == []
