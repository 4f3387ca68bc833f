"""The view in docs/webhooks.rst accepts what is genuine, and nothing else."""

import json
import time

import pytest
from django.test import RequestFactory
from django.utils import timezone

from tests.support import documents
from tracking.webhooks import payloads
from tracking.webhooks.signing import signed_headers


@pytest.fixture(scope="module")
def view():
    blocks = documents.blocks(documents.ROOT / "docs/webhooks.rst")
    [code] = [block.text for block in blocks if "def hooks(request)" in block.text]
    namespace = {}
    exec(code, namespace)
    return namespace


@pytest.fixture
def send(view):
    def post(body, identifier="msg_1", timestamp=None, secrets=(), **changed):
        now = int(time.time() if timestamp is None else timestamp)
        headers = signed_headers(identifier, now, body, [*secrets, view["WEBHOOK_SECRET"]])
        request = RequestFactory().post(
            "/hooks", body, content_type="application/json", headers={**headers, **changed}
        )
        return view["hooks"](request).status_code

    return post


def message():
    event = payloads.event("beacon.open", timezone.now(), {"verdict": "human"})
    return payloads.body(event, timezone.now())


def test_a_message_is_processed_once(send, capsys):
    body = message()
    assert [send(body), send(body)] == [204, 204]
    assert capsys.readouterr().out == "beacon.open human\n"


def test_one_of_two_signatures_is_enough(send):
    other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    assert send(message(), "msg_2", secrets=[other]) == 204


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v2,AAAA"},
    ],
)
def test_what_is_not_genuine(send, changed):
    assert send(message(), "msg_3", **changed) == 400


def test_an_old_message_is_no_proof(send):
    assert send(message(), "msg_4", timestamp=time.time() - 3_600) == 400


def test_the_documented_body_is_the_real_one():
    blocks = documents.blocks(documents.ROOT / "docs/webhooks.rst")
    [shown] = [json.loads(block.text) for block in blocks if block.language == "json"]
    columns = {**shown["data"][0]["data"], "time": timezone.now(), "visitor_id": None}
    references = dict.fromkeys(("source", "entity", "target"))
    real = payloads.beacon_data(columns, references, None, personal_data=False)
    assert list(real) == list(shown["data"][0]["data"])
    assert json.loads(payloads.body("", timezone.now())).keys() == shown.keys()
