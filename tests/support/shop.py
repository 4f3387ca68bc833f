"""The example shop, run in processes of its own."""

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tracking.pipeline.spool import folder_status

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

EXAMPLE = Path(__file__).parent.parent.parent / "example_project"


class Shop:
    """A running example site with a database and an outbox of its own."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "db.sqlite3"
        self.spool = folder / "db.sqlite3-spool"  # the default
        self.outbox = folder / "outbox"
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
            "PORT": str(self.port),
            "EXAMPLE_DATABASE": str(self.database),
            "EXAMPLE_OUTBOX": str(self.outbox),
            "EXAMPLE_PLACES": str(folder / "places.mmdb"),
        }

    def manage(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=EXAMPLE,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    @contextmanager
    def served_by(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Serve the site by a Python program, until the block ends; yield its process."""
        server = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=EXAMPLE,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait(server)
            yield server
        finally:
            server.terminate()
            server.wait()

    def _wait(self, server: subprocess.Popen[bytes], seconds: int = 20) -> None:
        for _ in range(10 * seconds):
            assert server.poll() is None, "the server has ended"
            try:
                with urlopen(self.url):
                    return
            except URLError:
                time.sleep(0.1)
        raise AssertionError("the server did not start")

    def ask(self, method, path, headers=None):
        """Send a request, and return status, headers and body of the response."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def visit(self, address, path="/", user_agent=FIREFOX, **headers):
        """Request a page as a visitor, and return its HTML once the hit is written."""
        sent = {"X-Forwarded-For": address, "User-Agent": user_agent, **headers}
        status, _, body = self.ask("GET", path, sent)
        assert status == 200
        self._wait_until_written()
        return body.decode()

    def _wait_until_written(self) -> None:
        """Wait until nothing is in the spool, on two looks: a file may change during one."""
        end = time.monotonic() + 30
        looks = 0
        while looks < 2:
            assert time.monotonic() < end, "hits are not written"
            status = folder_status(self.spool)
            looks = 0 if status.waiting or status.unreadable else looks + 1
            time.sleep(0.02)

    def rows(self, query, *values):
        """Return the rows of a query, once all hits are written."""
        self._wait_until_written()
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query, values).fetchall()

    def change(self, statement, *values):
        """Run a statement that changes the database."""
        with closing(sqlite3.connect(self.database, timeout=10)) as database, database:
            database.execute(statement, values)

    def messages(self):
        return {
            message["To"]: message
            for path in self.outbox.glob("*.eml")
            for message in [BytesParser(policy=policy.default).parsebytes(path.read_bytes())]
        }

    def beacons(self):
        """Return kind, subscriber, source, URL and data of each beacon, oldest first."""
        return self.rows(
            """
            SELECT beacon.kind, subscriber.email, coalesce(source.name, affiliate.name),
                beacon.url, beacon.data
            FROM tracking_beacon AS beacon
            LEFT JOIN shop_subscriber AS subscriber
                ON replace(beacon.entity_id, '-', '') = subscriber.id
            LEFT JOIN django_content_type AS type ON type.id = beacon.source_type_id
            LEFT JOIN tracking_source AS source
                ON type.model = 'source' AND beacon.source_id = source.id
            LEFT JOIN shop_affiliate AS affiliate
                ON type.model = 'affiliate' AND beacon.source_id = affiliate.id
            ORDER BY beacon.time
            """
        )
