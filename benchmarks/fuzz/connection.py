"""Send bytes over sockets, and read what comes back. No HTTP library stands in between."""

import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field

from benchmarks.fuzz.cases import Case

#: Header that the application adds to its responses; those of the server itself lack it.
MARK = "x-answered-by"

#: Seconds in which each request has to be answered, and seconds to wait for more bytes after a
#: malformed request.
PATIENCE, QUIET = 30.0, 0.2

#: Bytes of an answer without a length that are read at most.
MAX_BODY = 1_000_000

#: Seconds after which a server may have closed a connection that was kept.
MAX_IDLE = 1.0

_NO_BODY = frozenset((204, 304))


class Unanswered(Exception):
    """The server closed the connection, or did not answer in time. The message says which."""


@dataclass(slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: its status; ``None`` if there was none.
        headers: by their names in lower case.
        body: the content.
        rest: what follows; more answers, if the server found several malformed requests.
        problem: why there is no status, or why the answer is incomplete.
        was_idle: whether the server may have closed the kept connection before the request.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rest: bytes = b""
    problem: str = ""
    was_idle: bool = False

    @property
    def is_of_application(self) -> bool:
        """Whether the application answered, not the server itself."""
        return MARK in self.headers


class Connection:
    """A connection to a server, opened again when a request needs a new one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._used_at = 0.0

    def ask(self, case: Case, *, anew: bool) -> Answer:
        """Send a request and return the answer.

        Args:
            case: the request.
            anew: whether to open a new connection for it.
        """
        if anew or not case.keeps:
            self.close()
        answer = Answer(was_idle=self._socket is not None and self._is_idle())
        try:
            self._send(case)
            if case.aborts:
                self._abort()
                return answer
            self._read(case, answer)
            if not case.is_well_formed:
                answer.rest = self._rest(QUIET)
        except TimeoutError:
            answer.problem = f"no answer within {PATIENCE:.0f} s"
        except (OSError, Unanswered) as error:
            answer.problem = str(error)
        self._used_at = time.monotonic()
        if answer.problem or not case.keeps or not self._may_stay_open(answer):
            self.close()
        return answer

    def _is_idle(self) -> bool:
        return time.monotonic() - self._used_at > MAX_IDLE

    def _send(self, case: Case) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.sendall(case.request)
        except (BrokenPipeError, ConnectionResetError):
            return  # it may have answered before it has read everything
        if not case.is_well_formed:
            # A server that waits for the rest of the request learns that there is none.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def _read(self, case: Case, answer: Answer) -> None:
        status = 100
        while status < 200:  # interim responses
            head = self._until(b"\r\n\r\n").decode("latin-1")
            line, *lines = head.split("\r\n")
            words = line.split(" ", 2)
            if not line.startswith("HTTP/1.") or not words[1:] or not words[1].isdigit():
                raise Unanswered(f"not HTTP: {head[:100]!r}")
            status = int(words[1])
        pairs = (entry.partition(":") for entry in lines)
        answer.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        answer.status = status
        answer.body = self._body(case, answer)

    def _body(self, case: Case, answer: Answer) -> bytes:
        if case.method.upper() == b"HEAD" or answer.status in _NO_BODY:
            return b""
        if answer.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._until(b"\r\n").split(b";")[0], 16):
                body += self._exactly(size)
                self._until(b"\r\n")
            self._until(b"\r\n")
            return body
        if "content-length" in answer.headers:
            return self._exactly(int(answer.headers["content-length"]))
        return self._rest(PATIENCE)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._receive()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _receive(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(65_536)
        if not received:
            raise Unanswered("closed without an answer" if not self._buffer else "cut off")
        self._buffer += received

    def _rest(self, seconds: float) -> bytes:
        """Return what follows until the server closes the connection or is quiet."""
        assert self._socket is not None
        self._socket.settimeout(seconds)
        with contextlib.suppress(OSError, Unanswered):
            while len(self._buffer) < MAX_BODY:
                self._receive()
        return self._buffer

    def _may_stay_open(self, answer: Answer) -> bool:
        if "close" in answer.headers.get("connection", "").lower():
            return False
        return "content-length" in answer.headers or "transfer-encoding" in answer.headers

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _abort(self) -> None:
        """Close the connection by a reset, as clients do that lose their network."""
        assert self._socket is not None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()
