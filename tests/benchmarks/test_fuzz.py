"""The fuzzer asks for everything, recognises faults, and finds none."""

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from random import Random
from urllib.parse import unquote

import pytest

from benchmarks.fuzz import clients, inputs
from benchmarks.fuzz.cases import Case, Cases, SiteFacts
from benchmarks.fuzz.connection import Answer
from benchmarks.fuzz.headers import HEADERS
from tests.support import documents
from tracking import links, tokens, urls
from tracking.responses import GIF

FACTS = SiteFacts(
    proxy_header="X-Forwarded-For", drops_letters=False, target=1, source="letter", source_id=1
)


def cases(number, seed="1", facts=FACTS):
    made = Cases(facts, Random(seed))
    return [made.make(n) for n in range(number)]


def test_a_seed_makes_the_same_requests():
    assert cases(500) == cases(500) != cases(500, "2")
    seen = clients.requests_of(FACTS, "7", {5, 12})
    assert [case.number for case in seen] == [12, 5]  # of the first and the second client


def test_every_url_of_the_app_is_requested():
    made = [case for case in cases(4_000) if case.kind != "malformed"]
    paths = [case.request.split(b" ")[1].partition(b"?")[0].decode("latin-1") for case in made]
    paths = [unquote(path).removeprefix("/t/") for path in paths if path.startswith("/t/")]
    for pattern in urls.urlpatterns:
        assert any(pattern.pattern.match(path) for path in paths), pattern


def test_every_header_that_the_app_reads_is_sent():
    read = set()
    for path in (documents.ROOT / "tracking").rglob("*.py"):
        read |= set(re.findall(r'"HTTP_([A-Z_]+)"', path.read_text()))
    assert {"USER_AGENT", "HOST", "SEC_GPC"} <= read
    assert read <= {name.upper().replace("-", "_") for name in HEADERS}


def test_forged_tokens_are_not_authentic():
    random = Random(1)
    for number in range(3_000):
        data, salt = {"n": number}, random.choice([tokens.PIXEL, tokens.REDIRECT])
        token = tokens.dumps([], data, salt=salt).encode()
        forged = unquote(inputs.forge(random, token).decode())
        read = forged.rstrip(links.TRAILING)
        assert forged == read != token.decode()
        with pytest.raises(tokens.BadToken):
            tokens.loads(read, salt=salt)


CASE = Case(kind="open", request=b"", number=1, counts=True, statuses=frozenset({200}))
MARKED = {"x-answered-by": "application"}
PIXEL = Answer(200, {**MARKED, "content-type": "image/gif"}, GIF)
CLICK = replace(
    CASE, kind="click", statuses=frozenset({302}), location=b"https://shop.example/tea?number=1"
)


def leading_to(location):
    return Answer(302, {**MARKED, "location": location})


@pytest.mark.parametrize(
    ("case", "answer", "why"),
    [
        (CASE, PIXEL, ""),
        (CASE, replace(PIXEL, body=b"GIF"), "the pixel is not the GIF"),
        (CASE, replace(PIXEL, status=503), "5xx"),
        (CASE, replace(PIXEL, rest=b"HTTP/1.1 500 \r\nX-Answered-By: application\r\n\r\n"), "5xx"),
        (CASE, Answer(502, {}), "5xx by the server"),
        (CASE, Answer(404, MARKED), "status 404 instead of [200]"),
        (replace(CASE, is_plain=True), Answer(400, {}), "did not reach the application"),
        (replace(CASE, is_plain=False), Answer(431, {}), ""),
        (CASE, Answer(problem="closed without an answer"), "closed without an answer"),
        (CASE, Answer(problem="closed without an answer", was_idle=True), ""),
        (replace(CASE, is_well_formed=False), Answer(problem="closed without an answer"), ""),
        (CLICK, leading_to("https://shop.example/tea?number=1"), ""),
        (CLICK, leading_to("https://shop.example/"), "leads to https://shop.example/"),
        (replace(CLICK, kind="forged"), leading_to("/x"), "leads to /x"),
        (replace(CLICK, location=None), leading_to("//evil.example/"), "leads to //evil.example/"),
        (replace(CLICK, location=None), leading_to("/admin/login/"), ""),
    ],
)
def test_faults_are_recognised(case, answer, why):
    assert clients.fault(case, answer) == why


@pytest.mark.parametrize(
    ("counts", "answer", "required", "allowed"),
    [
        (True, PIXEL, {1}, set()),
        (True, Answer(400, {}), set(), set()),
        (True, Answer(problem="cut off"), set(), {1}),
        (None, PIXEL, set(), {1}),
        (False, PIXEL, set(), set()),
    ],
)
def test_the_rows_that_must_and_may_be_there(counts, answer, required, allowed):
    ledger = clients.Ledger()
    ledger.add(replace(CASE, counts=counts), answer)
    assert (ledger.required, ledger.allowed) == (required, allowed)


#: The servers, and what they need beside themselves.
SERVERS = {
    "gunicorn-gthread": ("gunicorn",),
    "uvicorn": ("uvicorn", "httptools", "uvloop"),
    "granian-wsgi": ("granian",),
    "granian-asgi": ("granian", "uvloop"),
}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_nothing_that_strangers_send_breaks_the_site(server):
    for package in SERVERS[server]:
        pytest.importorskip(package)
    options = {"requests": "600", "servers": server, "databases": "sqlite", "headers": "Forwarded"}
    arguments = itertools.chain.from_iterable((f"--{k}", v) for k, v in options.items())
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "fuzz", *arguments],
        cwd=documents.ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "600 requests in 4 rounds; 0 with faults" in result.stdout
    assert result.stdout.count("; 0 lost, 0 doubled") == 4
