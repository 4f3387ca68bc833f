"""A server that receives webhooks, in a process of its own.

It verifies each by code that shares nothing with the app: the library of Standard Webhooks, and the
lines that the specification describes. Paths choose how it answers.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: The folder that Python imports the tests from.
ROOT = Path(__file__).parent.parent.parent

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

#: How it answers, by path: the status and more headers.
ANSWERS: dict[str, tuple[int, dict[str, str]]] = {
    "ok": (204, {}),
    "error": (500, {}),
    "gone": (410, {}),
    "busy": (503, {"Retry-After": "3600"}),
    "limit": (429, {"Retry-After": "0"}),
    "redirect": (307, {"Location": "/ok"}),
    "hang": (204, {}),
    "slow": (204, {}),
}

#: Answers that no HTTP server gives: the first bytes, more of them again and again, the pause.
_RAW: dict[str, tuple[bytes, bytes, float]] = {
    # A byte now and then: a limit of the time between two bytes does not notice.
    "drip": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.1),
    "huge": (b"HTTP/1.1 500 Error\r\n\r\n", b"x" * 1_000_000, 0),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Many: " + b"x" * 1_000 + b"\r\n", 0),
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "garbage": (b"\xff\x00SSH-2.0\r\n\r\n", b"", 0),
    "close": (b"", b"", 0),
}


class Receiver:
    """The process, and what it has received."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]", port: int) -> None:
        self.folder = folder
        self.process = process
        self.port = port

    def url(self, path: str = "ok") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def received(self) -> list[dict[str, Any]]:
        """Return each request, in order: path, id, whether both ways verify it, and the body."""
        log = self.folder / "received"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def events(self) -> list[str]:
        """Return the ids of all events in accepted messages, each message once."""
        by_id = {one["id"]: one for one in self.received() if one["path"] != "/error"}
        return [event["data"]["id"] for one in by_id.values() for event in one["body"]["data"]]


@contextmanager
def running(folder: Path) -> Iterator[Receiver]:
    """Run the server in a process, which writes what it receives into a folder."""
    from tests.support.processes import wait_until  # the process itself needs no Django

    arguments = [sys.executable, "-m", "tests.support.webhook_receiver", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(arguments, text=True, env=environment)
    try:
        port = folder / "port"
        wait_until(port.exists, what="the receiver of webhooks")
        yield Receiver(folder, process, int(port.read_text()))
    finally:
        process.kill()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    tries: dict[str, int] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        line = json.dumps(
            {
                "path": path,
                "id": self.headers["webhook-id"],
                "signatures": self.headers["webhook-signature"].count("v1,"),
                "library": _library_accepts(self.headers, body),
                "by_hand": _verify_by_hand(self.headers, body),
                "body": json.loads(body),
            }
        )
        with (self.folder / "received").open("a") as log:
            log.write(line + "\n")
        self._answer(path.strip("/"))

    def _answer(self, name: str) -> None:
        if name in _RAW:
            first, then, pause = _RAW[name]
            self._write_slowly(first, then, pause)
            return
        time.sleep({"hang": 30, "slow": 0.5}.get(name, 0))
        status, headers = ANSWERS[name]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if status >= 300:
            self.wfile.write(b"no \x1b[31m<b>thanks</b> \xe4\n" * 3)

    def _write_slowly(self, first: bytes, then: bytes, pause: float) -> None:
        try:
            self.wfile.write(first)
            for _ in range(1_000 if then else 0):
                self.wfile.write(then)
                time.sleep(pause)
        except OSError:
            pass

    def log_message(self, *_: Any) -> None:
        pass


def _library_accepts(headers: Any, body: bytes) -> bool:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    try:
        Webhook(SECRET).verify(body, dict(headers.items()))
    except WebhookVerificationError:
        return False
    return True


def _verify_by_hand(headers: Any, body: bytes) -> bool:
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    given = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and value == expected for version, value in given)


def main(folder: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    _Handler.folder = folder
    (folder / "port.new").write_text(str(server.server_port))
    (folder / "port.new").rename(folder / "port")
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
