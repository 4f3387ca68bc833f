import pytest
from django.test import Client

from tests.site.models import Affiliate, Subscriber
from tracking import links
from tracking.identity import recent_heads
from tracking.models import Beacon
from tracking.recording.recent_clicks import recent_clicks
from tracking.verdicts.recent import correct_recent


@pytest.fixture(autouse=True)
def _fresh():
    recent_heads._asked.clear()
    yield
    recent_heads._asked.clear()
    recent_clicks.take()


@pytest.fixture
def clock(monkeypatch):
    hands = [1000.0]
    monkeypatch.setattr(recent_heads, "monotonic", lambda: hands[0])
    return hands


def test_a_head_is_remembered_for_a_minute(clock):
    recent_heads.remember("192.0.2.1", "token")
    assert recent_heads.was_asked("192.0.2.1", "token")
    assert not recent_heads.was_asked("192.0.2.2", "token")
    assert not recent_heads.was_asked("192.0.2.1", "other")
    clock[0] += 61
    assert not recent_heads.was_asked("192.0.2.1", "token")


def test_strangers_cannot_fill_the_memory():
    for number in range(recent_heads.MAX_NUMBER + 10):
        recent_heads.remember("192.0.2.1", str(number))
    assert len(recent_heads._asked) == recent_heads.MAX_NUMBER
    assert recent_heads.was_asked("192.0.2.1", str(number))
    assert not recent_heads.was_asked("192.0.2.1", "0")


@pytest.mark.django_db
def test_a_click_after_a_head_is_a_machines():
    source = Affiliate.objects.create(name="letter")
    reader = Subscriber.objects.create(email="anna@mail.example")
    url = links.link_url("https://shop.example/", source=source, entity=reader)
    client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"})
    assert client.head(url).status_code == 302
    assert not Beacon.objects.exists()
    assert client.get(url).status_code == 302
    other = Client(headers={"user-agent": "Mozilla/5.0 (X11)"}, REMOTE_ADDR="192.0.2.77")
    other.get(url)
    correct_recent()
    assert sorted(Beacon.objects.values_list("verdict", "verdict_reason")) == [
        ("bot", "asked for the link with HEAD before"),
        ("human", ""),
    ]
