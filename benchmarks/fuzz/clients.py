"""Clients that send the requests of a round and judge each answer."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

from benchmarks.fuzz.cases import Case, Cases, SiteFacts
from benchmarks.fuzz.connection import MARK, Answer, Connection
from tracking.responses import GIF

CLIENTS = 4

#: Of so many requests that may use a kept connection, one opens a new one.
ANEW = 4

#: The statuses with which a server itself refuses what it does not know (RFC 9110, sections
#: 15.6.2 and 15.6.6): a method or a transfer coding, and a version.
_UNKNOWN = frozenset((501, 505))

#: Where redirects of the site lead.
OWN_PLACES = ("/", "https://shop.example/")

#: Faults that are remembered with the request; of more, only the number is.
MAX_FAULTS = 200


@dataclass
class Ledger:
    """What the clients of a round have seen.

    Attributes:
        answers: how many there were, by kind of request and outcome.
        required: numbers that must have one row.
        allowed: numbers that may have one row.
        faults: what was wrong, with request and answer.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    required: set[int] = field(default_factory=set)
    allowed: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def add(self, case: Case, answer: Answer) -> None:
        """Judge the answer to a request, and remember whether it must or may have a row."""
        self.answers[case.kind, _outcome(case, answer)] += 1
        if case.counts is None or (case.counts and answer.status is None):
            self.allowed.add(case.number)
        elif case.counts and answer.is_of_application and answer.status in {200, 302}:
            self.required.add(case.number)
        if (why := fault(case, answer)) and len(self.faults) < MAX_FAULTS:
            self.faults.append(
                f"{case.kind}: {why}\n    request {case.request[:1_500]!r}"
                f"\n    answer {answer.status} {answer.headers} {answer.body[:200]!r}"
            )

    def merge(self, other: "Ledger") -> None:
        """Add what another client has seen."""
        self.answers += other.answers
        self.required |= other.required
        self.allowed |= other.allowed
        self.faults += other.faults


def _outcome(case: Case, answer: Answer) -> str:
    if case.aborts:
        return "aborted"
    if answer.status is None:
        return "closed while idle" if answer.was_idle else "no answer"
    return f"{answer.status}" if answer.is_of_application else f"{answer.status} by the server"


def fault(case: Case, answer: Answer) -> str:
    """Return what is wrong with an answer, or ``""``."""
    if case.aborts:
        return ""
    if answer.status is None:
        # A client and a server may close an idle connection at the same time.
        is_expected = not case.is_well_formed or (answer.was_idle and "closed" in answer.problem)
        return "" if is_expected else answer.problem
    if not answer.is_of_application:
        return _fault_of_server(case, answer)
    if answer.status >= 500 or _has_5xx(answer.rest):
        return "5xx"
    if case.statuses is not None and answer.status not in case.statuses:
        return f"status {answer.status} instead of {sorted(case.statuses)}"
    return _fault_of_content(case, answer)


def _has_5xx(answers: bytes) -> bool:
    """Return whether the application has answered a further request with 5xx."""
    heads = (part.partition(b"\r\n\r\n")[0].lower() for part in answers.split(b"HTTP/1.")[1:])
    return any(head[2:3] == b"5" and MARK.encode() in head for head in heads)


def _fault_of_server(case: Case, answer: Answer) -> str:
    assert answer.status is not None
    # A malformed request may end before the application can answer.
    if case.is_well_formed and answer.status >= 500 and answer.status not in _UNKNOWN:
        return "5xx by the server"
    return "did not reach the application" if case.is_plain else ""


def _fault_of_content(case: Case, answer: Answer) -> str:
    is_pixel = answer.headers.get("content-type") == "image/gif"
    if is_pixel and case.method == b"GET" and answer.body != GIF:
        return "the pixel is not the GIF"
    location = answer.headers.get("location", "")
    if case.kind in {"forged", "banned"} and location:
        return f"leads to {location}"
    if answer.status == 302 and case.location and location != case.location.decode():
        return f"leads to {location}"
    # Nothing that a stranger sends makes a redirect to another site.
    is_ours = location.startswith(OWN_PLACES) and not location.startswith(("//", "/\\"))
    return f"leads to {location}" if location and not is_ours else answer.problem


def is_served(port: int) -> bool:
    """Return whether a server answers."""
    request = b"GET /t/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    connection = Connection(port)
    answer = connection.ask(Case(kind="first", request=request, number=-1), anew=True)
    connection.close()
    return answer.status == 200


def requests_of(facts: SiteFacts, seed: str, numbers: set[int]) -> Iterator[Case]:
    """Make the requests with these numbers again."""
    for client in range(CLIENTS):
        cases = Cases(facts, Random(f"{seed} {client}"))
        for number in range(client, max(numbers, default=-1) + 1, CLIENTS):
            case = cases.make(number)
            if number in numbers:
                yield case


def run(facts: SiteFacts, port: int, requests: int, seed: str) -> Ledger:
    """Send requests over several connections, and return what was seen.

    Args:
        facts: what the requests depend on.
        port: the server's.
        requests: how many.
        seed: the same seed makes the same requests.
    """
    ledger, lock = Ledger(), threading.Lock()

    def work(client: int) -> None:
        seen = Ledger()
        cases = Cases(facts, Random(f"{seed} {client}"))
        connection = Connection(port)
        for number in range(client, requests, CLIENTS):
            case = cases.make(number)
            seen.add(case, connection.ask(case, anew=number % ANEW == 0))
        connection.close()
        with lock:
            ledger.merge(seen)

    with ThreadPoolExecutor(CLIENTS) as executor:
        for future in [executor.submit(work, client) for client in range(CLIENTS)]:
            future.result()
    return ledger
