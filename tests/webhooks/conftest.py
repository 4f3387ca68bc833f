"""Endpoints and hits for the tests of webhooks."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import webhook_receiver
from tests.support.webhook_receiver import SECRET, Receiver
from tracking.models import WebhookEndpoint
from tracking.webhooks import event_types


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A server in a process of its own, one for all tests of a file."""
    with webhook_receiver.running(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def allow_this_host(settings: Any) -> None:
    """Let webhooks go to this machine, unencrypted."""
    settings.TRACKING_WEBHOOK_NETWORKS = ["127.0.0.1"]
    settings.TRACKING_WEBHOOK_HTTP = True


@pytest.fixture
def endpoint(db: None) -> Callable[..., WebhookEndpoint]:
    """Make an endpoint that gets everything."""

    def make(url: str = "https://example.com/hooks", **values: Any) -> WebhookEndpoint:
        values = {"types": event_types.all_types(), "secret": SECRET, **values}
        return WebhookEndpoint.objects.create(url=url, **values)

    return make
