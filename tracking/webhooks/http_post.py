"""One POST to an address of the internet that nobody vouches for.

    answer = post("https://example.com/hooks", b"{}", {"webhook-id": "msg_1"}, timeout=15)
    answer.status        # 204

- The host is looked up once, and the connection goes to an address that was checked: a name that
  means something else a moment later (DNS rebinding) leads nowhere else.
- All of it takes ``timeout`` seconds at most, however slowly the other side answers.
- Redirects are not followed, and of the answer only the beginning is read.

Written with :mod:`http.client`: the libraries for HTTP limit the time between two bytes, not that
of the whole exchange, and look the host up by themselves.
"""

import io
import re
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from time import monotonic
from typing import Any

from tracking.models.webhooks import Failure
from tracking.webhooks.addresses import is_allowed
from tracking.webhooks.endpoint_urls import BadUrl, EndpointUrl

#: Bytes of an answer that are read, and characters of it that are kept.
MAX_READ = 4_096
MAX_EXCERPT = 500

#: Bytes sent at once: between two of them the deadline is looked at.
_CHUNK = 16_384

#: Characters of a text that only confuse its reader.
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\uffff]+")

_REDIRECTS = range(300, 400)
_GONE = 410


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a POST.

    Attributes:
        failure: why it failed, or ``None`` if the endpoint has accepted it.
        status: the status of the answer, if there was one.
        excerpt: the beginning of the answer, or the text of the error.
        retry_after: the header ``Retry-After``, if there was one.
    """

    failure: Failure | None
    status: int | None = None
    excerpt: str = ""
    retry_after: str | None = None


class _Refused(Exception):
    """The host has no address that webhooks may go to."""


def post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
    """Send a POST, and return what became of it. It never raises because of the other side.

    Args:
        url: the URL of the endpoint.
        body: the body.
        headers: further headers.
        timeout: seconds for everything.
    """
    deadline = _Deadline(timeout)
    try:
        target = EndpointUrl(url)
        stream = _connect(target, deadline)
    except BadUrl as error:
        return Answer(failure=Failure.URL, excerpt=str(error))
    except (_Refused, OSError, UnicodeError) as error:
        return _failed(error)
    with stream:
        try:
            return _exchange(stream, target, body, headers)
        except (HTTPException, OSError, ValueError) as error:
            return _failed(error)


class _Deadline:
    """The moment at which everything ends."""

    def __init__(self, seconds: float) -> None:
        self._at = monotonic() + seconds

    def rest(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        rest = self._at - monotonic()
        if rest <= 0:
            raise TimeoutError("timed out")
        return rest


class _Stream(io.RawIOBase):
    """A socket that keeps to the deadline, as :class:`http.client.HTTPConnection` uses one."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(self._deadline.rest())
            view = view[self._socket.send(view[:_CHUNK]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._deadline.rest())
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        # A response closes its file early. The socket stays open until ``shut()``.
        pass

    def shut(self) -> None:
        self._socket.close()

    def __exit__(self, *_: object) -> None:
        self.shut()


def _connect(target: EndpointUrl, deadline: _Deadline) -> _Stream:
    """Return a connection to a host, to an address that was checked.

    Raises:
        _Refused: it has only addresses that are not allowed.
        OSError: there is no connection.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    allowed = [entry for entry in found if is_allowed(str(entry[4][0]))]
    if not allowed:
        raise _Refused(", ".join(dict.fromkeys(str(entry[4][0]) for entry in found)))
    for number, (family, kind, protocol, _name, address) in enumerate(allowed, 1):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(deadline.rest())
            connected.connect(address)
            if target.is_https:
                connected = _tls().wrap_socket(connected, server_hostname=target.host)
        except OSError as error:
            connected.close()
            if number == len(allowed) or isinstance(error, ssl.SSLError):
                raise
        else:
            return _Stream(connected, deadline)
    raise AssertionError("unreachable")


@cache
def _tls() -> ssl.SSLContext:
    """Return the rules of encrypted connections: certificates are verified."""
    return ssl.create_default_context()


def _exchange(stream: _Stream, target: EndpointUrl, body: bytes, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection(target.host, target.port)
    connection.sock = stream
    host = {"Host": target.host_header, "Connection": "close"}
    connection.request("POST", target.path, body=body, headers={**host, **headers})
    response = connection.getresponse()
    status = response.status
    excerpt = ""
    failure = None if status // 100 == 2 else _failure_of(status)  # noqa: PLR2004 - 200 to 299
    if failure is not None:  # nobody reads what a success says
        excerpt = _readable(response.read(MAX_READ))
    return Answer(
        failure=failure,
        status=status,
        excerpt=excerpt,
        retry_after=response.getheader("Retry-After"),
    )


def _failure_of(status: int) -> Failure:
    if status == _GONE:
        return Failure.GONE
    return Failure.REDIRECT if status in _REDIRECTS else Failure.STATUS


def _failed(error: Exception) -> Answer:
    text = _readable(str(error).encode(errors="replace")) or type(error).__name__
    failure = Failure.CONNECTION
    if isinstance(error, _Refused):
        failure = Failure.ADDRESS
    elif isinstance(error, TimeoutError):
        failure = Failure.TIMEOUT
    elif isinstance(error, ssl.SSLCertVerificationError):
        failure = Failure.CERTIFICATE
    return Answer(failure=failure, excerpt=text)


def _readable(data: bytes) -> str:
    """Return bytes of strangers as one line for people."""
    return _UNPRINTABLE.sub(" ", data.decode(errors="replace"))[:MAX_EXCERPT].strip()
