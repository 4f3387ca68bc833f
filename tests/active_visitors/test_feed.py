"""The feed of active visitors."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from tracking.active_visitors import feed
from tracking.hits import PageHit
from tracking.models import Visitor
from tracking.recording import write

pytestmark = pytest.mark.django_db

#: What django-user-tracking has told of each visitor.
PREDECESSOR = {
    "id", "user_agent", "referrer", "url", "page_views", "geoip", "last_update", "friendly_time",
}  # fmt: skip


@pytest.fixture
def watcher(client):
    user = get_user_model().objects.create_user("watcher")
    may_see = Permission.objects.get(codename="view_visitor", content_type__app_label="tracking")
    user.user_permissions.add(may_see)
    client.force_login(user)
    return client


def visitor(seconds=0, **values):
    moment = timezone.now() - timedelta(seconds=seconds)
    return Visitor.objects.create(**{"last_update": moment, "session_start": moment, **values})


def answer_of(client):
    response = client.get(reverse("tracking:active"))
    assert response["Cache-Control"] == "no-store"
    return response.json()


def test_the_feed_is_for_who_may_see_visitors(client):
    """django-user-tracking: the feed is readable by anyone."""
    visitor()
    for reader in (None, get_user_model().objects.create_user("nosy", is_staff=True)):
        if reader:
            client.force_login(reader)
        response = client.get(reverse("tracking:active"))
        assert response.status_code == 403
        assert "users" not in response.json()


def test_a_user_model_without_permissions_sees_no_feed_and_no_map(rf):
    """A model that extends AbstractBaseUser alone has no ``has_perm``."""
    request = rf.get("/")
    request.user = SimpleNamespace(pk=1, is_authenticated=True)
    assert feed.active(request).status_code == 403
    with pytest.raises(Http404):
        feed.redirect_to_map(request)


def test_the_feed_lists_who_is_active_the_latest_first(still_clock, watcher):
    late = visitor(30, url="/late/", page_views=3)
    now = visitor(0, url="/now/")
    visitor(11 * 60)
    answer = answer_of(watcher)
    assert [user["id"] for user in answer["users"]] == [now.pk, late.pk]
    assert answer["total"] == 2
    assert set(answer["users"][1]) > PREDECESSOR
    assert answer["users"][1]["page_views"] == 3
    assert answer["users"][1]["last_update"] == 30
    assert answer["users"][1]["friendly_time"].endswith("seconds")


def test_somebody_active_this_very_second_is_in_the_answer(still_clock, watcher):
    """django-user-tracking: someone active this very second empties the whole feed."""
    visitor(0)
    visitor(-2)  # a clock ahead of ours
    assert [user["friendly_time"] for user in answer_of(watcher)["users"]] == [
        "just now",
        "just now",
    ]
    assert {user["last_update"] for user in answer_of(watcher)["users"]} == {0}


def test_what_strangers_send_is_escaped(watcher):
    """django-user-tracking: the feed is unescaped."""
    nasty = "<script>alert('x')</script>"
    user = get_user_model().objects.create_user("<b>anna</b>")
    visitor(url=nasty, referrer=nasty, user_agent=nasty, city=nasty, country="DE", user=user)
    text = json.dumps(answer_of(watcher))
    assert "<" not in text
    assert "&lt;script&gt;" in text


def test_names_are_for_who_may_see_users(watcher):
    user = get_user_model().objects.create_user("anna")
    visitor(user=user)
    visitor(5)
    assert [user["user"] for user in answer_of(watcher)["users"]] == [None, None]
    may_see = Permission.objects.get(codename="view_user")
    get_user_model().objects.get(username="watcher").user_permissions.add(may_see)
    assert [user["user"] for user in answer_of(watcher)["users"]] == ["anna", None]


def test_the_feed_has_neither_session_keys_nor_addresses(watcher):
    visitor(session_key="the-session-key", ip_address="192.0.2.77", key="the-visitor-key")
    text = json.dumps(answer_of(watcher))
    assert "the-session-key" not in text
    assert "the-visitor-key" not in text
    assert "192.0.2.77" not in text
    assert answer_of(watcher)["users"][0]["network"] == "192.0.2.0"


def test_the_feed_has_the_place_as_far_as_it_is_known(watcher):
    visitor(country="DE", city="Berlin", latitude=52.5, longitude=13.4)
    visitor(5)
    known, unknown = (user["geoip"] for user in answer_of(watcher)["users"])
    assert known == {
        "country_code": "DE", "country_name": "Germany", "region": "", "city": "Berlin",
        "latitude": 52.5, "longitude": 13.4,
    }  # fmt: skip
    assert unknown == {}


def test_the_feed_has_the_start_and_the_campaign_of_a_visit(watcher):
    began = timezone.now() - timedelta(minutes=3)
    campaign = {"source": "<b>letter</b>", "medium": "email"}
    write([PageHit(visitor="anna", time=began, url="/tea/", campaign=campaign)])
    write([PageHit(visitor="anna", time=began + timedelta(minutes=1), url="/cart/")])
    visitor(4 * 60)
    anna, other = answer_of(watcher)["users"]
    assert anna["started_at"] == began.isoformat(timespec="seconds")
    assert anna["campaign"] == {"source": "&lt;b&gt;letter&lt;/b&gt;", "medium": "email"}
    assert other["campaign"] == {}


def test_a_long_list_is_cut_and_says_so(watcher, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(feed, "MAX_LISTED", 3)
    for number in range(5):
        visitor(number)
    with django_assert_max_num_queries(7):  # session, user, two for its permissions, and ours
        answer = answer_of(watcher)
    assert (len(answer["users"]), answer["total"]) == (3, 5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (125, "2 minutes, 5 seconds"),
        (3_600 * 25 + 61, "25 hours, 1 minute, 1 second"),
    ],
)
def test_times_in_words(seconds, words):
    assert feed.in_words(timedelta(seconds=seconds)) == words
