"""The lifespan of an ASGI server, at whose end waiting hits are written."""

import asyncio

import pytest
from django.core.asgi import get_asgi_application

from tests.support.buffered import QUICK
from tests.support.spooled_files import hit
from tracking.backends import get_backend
from tracking.edge import EdgeASGI
from tracking.models import Beacon


@pytest.fixture
def backend(settings, tmp_path):
    settings.TRACKING_BACKEND, settings.TRACKING_SPOOL = QUICK, str(tmp_path)
    backend = get_backend()
    backend.interval = 60
    yield backend
    backend.close()


def run(application):
    """Run the lifespan of an application, as servers do; return the types of its answers."""
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    answers = []

    async def receive():
        return {"type": next(asked)}

    async def send(message):
        answers.append(message["type"])

    asyncio.run(EdgeASGI(application)({"type": "lifespan"}, receive, send))
    return answers


async def without(scope, receive, send):
    """An application that does not know the protocol, and says nothing."""


async def with_lifespan(scope, receive, send):
    """An application that has something of its own to do, here one that records a hit."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    get_backend().send(hit(2))
    await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("application", "number"), [(get_asgi_application(), 1), (without, 1), (with_lifespan, 2)]
)
def test_what_waits_is_written_at_the_end(backend, application, number):
    backend.send(hit(1))
    assert run(application) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert Beacon.objects.count() == number


def test_a_start_that_fails_is_the_servers_business(backend):
    async def fails(scope, receive, send):
        await receive()
        raise RuntimeError("no licence")

    with pytest.raises(RuntimeError, match="no licence"):
        run(fails)


def test_an_end_that_cannot_write_is_still_an_end(backend, monkeypatch, caplog):
    def fail():
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "close", fail)
        assert run(without)[-1] == "lifespan.shutdown.complete"
    assert "Writing hits at the end failed" in caplog.text
