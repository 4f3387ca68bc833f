"""Requests that are not HTTP, or exceed the limits of servers."""

from random import Random

from benchmarks.fuzz import inputs
from benchmarks.fuzz.inputs import pick

_LINES = (
    *(b"GET %s HTTP/1.1", b"GET %s HTTP/1.1", b"GET %s HTTP/1.1", b"GET %s HTTP/1.0"),
    *(b"GET %s HTTP/0.9", b"GET %s HTTP/9.9", b"GET %s", b"GET  %s  HTTP/1.1", b"%s"),
    *(b"G\x00T %s HTTP/1.1", b"GET %s\x00 HTTP/1.1", b"CONNECT %s HTTP/1.1"),
    *(b"GET \xff%s HTTP/1.1", b"GET %s HTTP/1.1\n", b"\r\n\r\nGET %s HTTP/1.1"),
)

_LENGTHS = (b"-1", b"abc", b"9" * 40, b"5, 6", b"1e3", b"")

#: Header lines that do not depend on chance.
_FIXED = (
    [b"Referer: x\r\n folded", b" : y"],
    [b"Host: a", b"Host: b"],
    [b"X-%d: " % n + b"x" * 8_000 for n in range(40)],
    [b"X-%d: x" % n for n in range(2_000)],
    [b"Cookie: " + b"a=b; " * 14_000],
    [b"Content-Length: 5", b"Content-Length: 6"],
    [b"Content-Length: 4", b"Transfer-Encoding: chunked"],
    [b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: A"],
    [b"no colon"],
    [b": no name"],
)

_ENDS = (b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n", b"")


def make(random: Random, path: bytes) -> bytes:
    """Return a malformed request.

    Args:
        random: the source of randomness.
        path: the path to request, itself valid.
    """
    control = pick(random, inputs.CONTROLS)
    by_chance = (
        b"User-Agent: a" + control + b"b",
        b"User-" + control + b"Agent: a",
        b"Content-Length: " + pick(random, _LENGTHS),
        b"Transfer-Encoding: " + inputs.text(random),
        b"Expect: " + inputs.text(random),
        b"Connection: " + inputs.text(random),
        inputs.noise(random, 200),
    )
    lines = pick(random, _FIXED) if random.random() < 0.5 else [pick(random, by_chance)]
    host = [] if lines[0].startswith(b"Host") else [b"Host: 127.0.0.1"]
    line = pick(random, _LINES).replace(b"%s", path)
    request = b"\r\n".join([line, *host, *lines]) + pick(random, _ENDS)
    return inputs.mutate(random, request) if random.random() < 0.2 else request
