"""Create tables and sessions of a variant, and print the number of queries of a request.

``python -m benchmarks.servers.site.prepare REQUESTS``
"""

import io
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import django

#: Number of readers; the queries of their second requests are counted.
COUNTED = 5

#: Statements that are not counted as queries.
_BRACKETS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def main(path: str) -> None:
    """Prepare the database, and print the number of queries."""
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, run_syncdb=True)
    requests = json.loads(Path(path).read_text())
    _log_in(requests)
    print(_queries(requests[:COUNTED]))


def _log_in(requests: list[dict[str, Any]]) -> None:
    """Create the sessions that the requests name, all for one user."""
    from http.cookies import SimpleCookie
    from importlib import import_module

    from django.conf import settings
    from django.contrib import auth
    from django.contrib.auth import get_user_model

    if not settings.MIDDLEWARE:
        return
    user = get_user_model().objects.create_user("anna")
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for request in requests:
        cookies = SimpleCookie(request["headers"]["Cookie"])
        session = store()
        session[auth.SESSION_KEY] = str(user.pk)
        session[auth.BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
        session._session_key = cookies[settings.SESSION_COOKIE_NAME].value
        session.save(must_create=True)


def _queries(requests: list[dict[str, Any]]) -> int:
    """Return the number of queries of a request, in the thread that answers it."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from benchmarks.servers.site.wsgi import application

    counts = []
    for request in [*requests, *requests]:
        with CaptureQueriesContext(connection) as captured:
            _ask(application, request)
        statements = [query["sql"].upper() for query in captured]
        counts.append(sum(not sql.startswith(_BRACKETS) for sql in statements))
    return round(statistics.median(counts[COUNTED:]))


def _ask(application: Any, request: dict[str, Any]) -> None:
    named = {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in request["headers"].items()
    }
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": request["path"],
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        **named,
    }
    statuses = []
    response = application(environ, lambda status, headers, exc_info=None: statuses.append(status))
    b"".join(response)
    if hasattr(response, "close"):
        response.close()
    assert statuses[0].startswith("200"), statuses


if __name__ == "__main__":
    main(sys.argv[1])
