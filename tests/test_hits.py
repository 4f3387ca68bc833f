import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import Affiliate, ProxyAffiliate, Subscriber
from tracking.hits import Hit, Kind, PageHit, Reference, from_dict, uuid7


def test_keys_are_version_7_and_in_the_order_they_were_made(monkeypatch):
    clock = iter(range(1_700_000_000_000_000_000, 1_700_000_000_100_000_000, 1_000_000))
    monkeypatch.setattr("time.time_ns", lambda: next(clock))
    keys = [uuid7() for _ in range(100)]
    assert keys == sorted(keys)
    assert {(key.version, key.variant) for key in keys} == {(7, uuid.RFC_4122)}
    assert keys[0].int >> 80 == 1_700_000_000_000


def test_two_hits_never_share_a_key():
    assert len({uuid7() for _ in range(10_000)}) == 10_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    hit=st.builds(
        Hit,
        kind=st.sampled_from(Kind),
        time=st.datetimes(timezones=st.just(UTC)),
        target=st.none() | st.builds(Reference, st.text(), st.text()),
        source=st.none() | st.builds(Reference, st.text(), st.text()),
        data=st.dictionaries(st.text(max_size=3), json_values, max_size=3),
        url=st.text(),
        ip_address=st.none() | st.ip_addresses().map(str),
    )
)
def test_a_hit_survives_the_journey_as_json(hit):
    assert Hit.from_dict(json.loads(json.dumps(hit.as_dict()))) == hit


def test_a_hit_is_frozen():
    with pytest.raises(AttributeError):
        Hit(kind=Kind.OPEN).kind = Kind.CLICK


def test_a_hit_tells_what_the_request_says():
    request = RequestFactory().get(
        "/x?secret=1",
        REMOTE_ADDR="::ffff:192.0.2.7",
        headers={"User-Agent": "Mail/1", "Referer": "https://webmail.example/"},
    )
    hit = Hit.from_request(request, Kind.OPEN, data={"a": 1})
    assert (hit.user_agent, hit.referrer) == ("Mail/1", "https://webmail.example/")
    assert hit.ip_address == "192.0.2.7"
    assert hit.data == {"a": 1}
    assert abs((datetime.now(UTC) - hit.time).total_seconds()) < 60


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("Größe".encode(), "Größe"),
        ("Größe".encode("latin-1"), "Größe"),
        ("手紙".encode(), "手紙"),
    ],
)
def test_headers_are_read_as_utf_8_or_latin_1(sent, expected):
    request = RequestFactory().get("/", HTTP_USER_AGENT=sent.decode("latin-1"))
    assert Hit.from_request(request, Kind.OPEN).user_agent == expected


def test_headers_set_by_the_site_as_text_stay():
    request = RequestFactory().get("/", HTTP_USER_AGENT="手紙")
    assert Hit.from_request(request, Kind.OPEN).user_agent == "手紙"


def test_references_name_the_concrete_model():
    key = uuid.uuid4()
    assert Reference.to(Affiliate(pk=7)) == ("site.affiliate", "7")
    assert Reference.to(ProxyAffiliate(pk=7)) == ("site.affiliate", "7")
    assert Reference.to(Subscriber(pk=key)) == ("site.subscriber", str(key))
    assert Reference.to(SimpleLazyObject(lambda: Affiliate(pk=7))) == ("site.affiliate", "7")


def test_what_cannot_be_found_again_is_refused():
    with pytest.raises(ValueError, match="save it first"):
        Reference.to(Affiliate())
    for value in ("newsletter", 7, None, AnonymousUser(), Affiliate):
        with pytest.raises(TypeError, match="expected a model instance"):
            Reference.to(value)


# Pages.


def page_hit(**meta):
    return PageHit.from_request(RequestFactory().get("/tea/?q=1", **meta), "key")


def test_a_page_hit_travels_as_json():
    sent = page_hit(HTTP_REFERER="https://search.example/", QUERY_STRING="utm_source=ä&utm_term=x")
    arrived = from_dict(json.loads(json.dumps(sent.as_dict())))
    assert arrived == sent
    assert isinstance(arrived, PageHit)
    assert isinstance(from_dict(Hit(kind=Kind.OPEN).as_dict()), Hit)


def test_a_page_is_known_by_its_path():
    hit = page_hit()
    assert (hit.url, hit.visitor, hit.user, hit.session_key) == ("/tea/", "key", None, None)


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        ("https://search.example/?q=tea", "https://search.example/?q=tea"),
        ("http://testserver/cart/", ""),
        ("http://TESTSERVER:80/cart/", ""),
        ("http://testserver:8000/cart/", "http://testserver:8000/cart/"),
        ("https://testserver/cart/", ""),
        ("http://testserver.evil.example/", "http://testserver.evil.example/"),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_a_page_of_the_same_site_is_no_referrer(referrer, kept):
    assert page_hit(HTTP_REFERER=referrer).referrer == kept


def test_a_host_that_is_not_ours_breaks_nothing():
    from_outside = {"HTTP_REFERER": "https://a.example/", "HTTP_HOST": "evil.example"}
    assert page_hit(**from_outside).referrer == "https://a.example/"
    assert page_hit(**{**from_outside, "HTTP_REFERER": "https://evil.example/"}).referrer == ""
    for host in ("", "[", "a b", "evil.example:x"):
        assert page_hit(**{**from_outside, "HTTP_HOST": host}).referrer in {
            "",
            "https://a.example/",
        }


@pytest.mark.parametrize(
    ("query", "campaign"),
    [
        ("", {}),
        ("q=1&source=x", {}),
        ("utm_source=letter&utm_medium=email", {"source": "letter", "medium": "email"}),
        ("utm_campaign=spring+sale&utm_term=%C3%A4&utm_content=%ff", {
            "campaign": "spring sale", "term": "ä", "content": "\N{REPLACEMENT CHARACTER}",
        }),
        ("utm_source=a&utm_source=b&utm_id=7", {"source": "b"}),
        ("utm_source=x&" + "&".join(f"p{n}=1" for n in range(2_000)), {"source": "x"}),
    ],
)  # fmt: skip
def test_the_campaign_is_that_of_the_query(query, campaign):
    assert page_hit(QUERY_STRING=query).campaign == campaign


class Counted:
    """A user of whom we know whether somebody has asked for it."""

    is_authenticated = True
    pk = 7
    asked = 0


def lazily():
    Counted.asked += 1
    return Counted()


def test_the_user_is_known_only_if_the_page_has_asked():
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lazily)
    before = Counted.asked
    assert PageHit.from_request(request, "key").user is None
    assert Counted.asked == before
    assert request.user.pk == 7
    assert PageHit.from_request(request, "key").user == "7"


def test_a_user_that_was_asked_for_otherwise_is_known_too():
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lazily)
    request._acached_user = AnonymousUser()
    assert PageHit.from_request(request, "key").user == ""
    request.user = Counted()
    assert PageHit.from_request(request, "key").user == "7"


def test_a_system_without_fork_has_hits_too():
    away = "import os; del os.fork, os.register_at_fork"
    code = f"{away}; from tracking import hits; print(hits.uuid7())"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False, text=True
    )
    assert uuid.UUID(ended.stdout.strip()).version == 7, ended.stderr
