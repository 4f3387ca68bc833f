import json
import os
import subprocess
import sys
import uuid
from datetime import UTC

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from tests.site.models import Affiliate, ProxyAffiliate, Subscriber
from tracking.hits import Hit, Kind, PageHit, Reference, from_dict, uuid7


def test_keys_are_version_7_and_in_the_order_they_were_made(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.time", lambda: 1_700_000_000 + next(clock) / 2**18)
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


def test_a_page_hit_travels_as_json():
    sent = PageHit(
        visitor="key",
        url="/tea/",
        referrer="https://search.example/",
        campaign={"source": "ä", "term": "x"},
        user="7",
    )
    arrived = from_dict(json.loads(json.dumps(sent.as_dict())))
    assert arrived == sent
    assert isinstance(arrived, PageHit)
    assert isinstance(from_dict(Hit(kind=Kind.OPEN).as_dict()), Hit)


def test_a_system_without_fork_has_hits_too():
    away = "import os; del os.fork, os.register_at_fork"
    code = f"{away}; from tracking import hits; print(hits.uuid7())"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False, text=True
    )
    assert uuid.UUID(ended.stdout.strip()).version == 7, ended.stderr
