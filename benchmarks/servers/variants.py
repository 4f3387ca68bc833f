"""The variants that are compared."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.servers import answers
from benchmarks.servers.answers import SECRET

_SITE = ["benchmarks.servers.site.apps.SiteConfig"]
_AUTH = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
_SESSIONS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
_TRACKING = "tracking.middleware.VisitorTrackingMiddleware"
_IMMEDIATE = "tracking.backends.immediate.ImmediateBackend"
_BUFFERED = "tracking.backends.buffered.BufferedBackend"
_DEFAULT = ""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A site to measure.

    Attributes:
        name: its name on the command line.
        title: its name in tables.
        group: the group whose first variant it is compared with.
        requests: the file of requests to send.
        body: the expected body.
        database: ``sqlite`` or ``postgresql``.
        settings: settings in addition to the common ones.
        rows: SQL that counts the recorded answers; ``""`` if it records none.
        targets: the ratio to reach, by prefix of the name of a server.
        raw_target: the ratio to reach, compared with the application without Django.
        peer: a package that it needs; see :mod:`benchmarks.servers.peers`.
        module: a module that it needs.
        writer_process: whether ``tracking_writer`` writes, in a process beside the server.
        without_django: whether it is a bare application without Django.
        interfaces: the interfaces it can be served by.
        note: a note on its figures.
    """

    name: str
    title: str
    group: str = "pixel"
    requests: str = "pixel"
    body: bytes = answers.GIF
    database: str = "sqlite"
    settings: dict[str, Any] = field(default_factory=dict)
    rows: str = ""
    targets: dict[str, float] = field(default_factory=dict)
    raw_target: float | None = None
    peer: str = ""
    module: str = ""
    writer_process: bool = False
    without_django: bool = False
    interfaces: tuple[str, ...] = ("wsgi", "asgi")
    note: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether this repository's app records the hits."""
        return "TRACKING_BACKEND" in self.settings

    @property
    def has_writer(self) -> bool:
        """Whether a separate thread writes to the database."""
        spooled = self.settings.get("TRACKING_BACKEND") in {_BUFFERED, _DEFAULT}
        return spooled and not self.writer_process


def _site(urls: str, apps: list[str], **more: Any) -> dict[str, Any]:
    return {
        "BENCHMARK_URLS": [urls],
        "BENCHMARK_EDGE": False,
        "INSTALLED_APPS": [*_AUTH, *apps, *_SITE],
        "MIDDLEWARE": [],
        **more,
    }


def _ours(backend: str, urls: str = "ours", **more: Any) -> dict[str, Any]:
    ours = {"TRACKING_BACKEND": backend, "TRACKING_SECRET_KEYS": [SECRET]}
    return _site(urls, ["tracking"], **ours, **more)


def _page(urls: str = "page", apps: list[str] | None = None, *middleware: str) -> dict[str, Any]:
    return _site(urls, apps or [], MIDDLEWARE=[*_SESSIONS, *middleware])


_BEACONS = "SELECT count(*) FROM tracking_beacon"
_PAGE_VIEWS = "SELECT count(*) FROM tracking_pageview"
_OPENED = "SELECT count(*) FROM site_opened"
_BESIDE: dict[str, Any] = {
    "writer_process": True,
    "note": "the processor time of the writer, a process of its own, is shown beside that of the "
    "server and is no part of it",
}
_EDGE = {"granian": 2.5, "gunicorn": 1.3, "uvicorn": 4.0}

PIXELS = [
    Variant(name="bare", title="bare Django view", settings=_site("bare", [])),
    Variant(
        name="bare-async",
        title="bare Django view, asynchronous",
        settings=_site("bare_async", []),
        interfaces=("asgi",),
    ),
    Variant(name="raw", title="no Django at all", without_django=True),
    Variant(
        name="immediate-sqlite",
        title="ours, ImmediateBackend, SQLite",
        settings=_ours(_IMMEDIATE),
        rows=_BEACONS,
        targets={"": 0.55},
    ),
    Variant(
        name="immediate-postgresql",
        title="ours, ImmediateBackend, PostgreSQL",
        settings=_ours(_IMMEDIATE),
        database="postgresql",
        rows=_BEACONS,
    ),
    Variant(
        name="buffered-sqlite",
        title="ours, BufferedBackend, SQLite",
        settings=_ours(_BUFFERED),
        rows=_BEACONS,
        targets={"": 0.80},
    ),
    Variant(
        name="buffered-postgresql",
        title="ours, BufferedBackend, PostgreSQL",
        settings=_ours(_BUFFERED),
        database="postgresql",
        rows=_BEACONS,
        targets={"": 0.80},
    ),
    Variant(
        name="writer-postgresql",
        title="ours, BufferedBackend and tracking_writer, PostgreSQL",
        settings=_ours(_BUFFERED),
        database="postgresql",
        rows=_BEACONS,
        targets={"": 0.88},
        **_BESIDE,
    ),
    Variant(
        name="edge-sqlite",
        title="ours, edge, BufferedBackend, SQLite",
        settings=_ours(_BUFFERED, BENCHMARK_EDGE=True),
        rows=_BEACONS,
        targets=_EDGE,
        raw_target=0.6,
        module="tracking.edge",
    ),
    Variant(
        name="edge-postgresql",
        title="ours, edge, BufferedBackend, PostgreSQL",
        settings=_ours(_BUFFERED, BENCHMARK_EDGE=True),
        database="postgresql",
        rows=_BEACONS,
        targets=_EDGE,
        raw_target=0.6,
        module="tracking.edge",
    ),
    *(
        Variant(
            name=f"ptrack-{database}",
            title=f"django-ptrack and create(), {title}",
            requests="ptrack",
            body=answers.PTRACK,
            database=database,
            settings=_site(
                "ptrack",
                ["ptrack.apps.PtrackConfig", "benchmarks.servers.site.ptracked"],
                PTRACK_SECRET="k" * 32,
            ),
            rows=_OPENED,
            peer="django-ptrack",
            note="its row has no index, no place, no browser and no verdict",
        )
        for database, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    ),
    *(
        Variant(
            name=f"create-{database}",
            title=f"a view and create(), {title}",
            database=database,
            settings=_site("create", []),
            rows=_OPENED,
            note="reads no token; its row has no index, no place, no browser and no verdict",
        )
        for database, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    ),
]


def _pages(group: str, path: str, body: bytes) -> list[Variant]:
    """Return variants of a page behind sessions and authentication."""
    named = {"group": group, "requests": group, "body": body}

    def ours(backend: str) -> dict[str, Any]:
        middleware = {"MIDDLEWARE": [*_SESSIONS, _TRACKING]}
        return _ours(backend, path, **middleware)

    return [
        Variant(name=group, title="page, not tracked", settings=_page(path), **named),
        Variant(
            name=f"{group}-buffered",
            title="ours, BufferedBackend, SQLite",
            settings=ours(_BUFFERED),
            rows=_PAGE_VIEWS,
            targets={"": 0.85},
            **named,
        ),
        Variant(
            name=f"{group}-buffered-postgresql",
            title="ours, BufferedBackend, PostgreSQL",
            database="postgresql",
            settings=ours(_BUFFERED),
            rows=_PAGE_VIEWS,
            targets={"": 0.85},
            **named,
        ),
        *(
            Variant(
                name=f"{group}-writer-{database}",
                title=f"ours, BufferedBackend and tracking_writer, {title}",
                database=database,
                settings=ours(_BUFFERED),
                rows=_PAGE_VIEWS,
                targets={"granian": 0.78, "gunicorn": 0.90, "uvicorn": 0.92},
                **named,
                **_BESIDE,
            )
            for database, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
        ),
        Variant(
            name=f"{group}-default",
            title="ours, default, SQLite",
            settings=ours(_DEFAULT),
            rows=_PAGE_VIEWS,
            targets={"": 0.40},
            **named,
        ),
        Variant(
            name=f"{group}-default-postgresql",
            title="ours, default, PostgreSQL",
            database="postgresql",
            settings=ours(_DEFAULT),
            rows=_PAGE_VIEWS,
            targets={"": 0.75},
            **named,
        ),
        Variant(
            name=f"{group}-immediate",
            title="ours, ImmediateBackend, SQLite",
            settings=ours(_IMMEDIATE),
            rows=_PAGE_VIEWS,
            **named,
        ),
        Variant(
            name=f"{group}-tracking2",
            title="django-tracking2 with page views, SQLite",
            settings=_page(path, ["tracking"], _TRACKING) | {"TRACK_PAGEVIEWS": True},
            rows=_PAGE_VIEWS,
            peer="django-tracking2",
            **named,
        ),
        Variant(
            name=f"{group}-tracking2-visitors",
            title="django-tracking2 without them, SQLite",
            settings=_page(path, ["tracking"], _TRACKING),
            peer="django-tracking2",
            note="its fastest configuration: it stores when a visitor was last seen, and no pages",
            **named,
        ),
        Variant(
            name=f"{group}-user-tracking",
            title="django-user-tracking, SQLite",
            settings=_page(path, ["tracking"], "benchmarks.servers.site.user_tracking.Middleware")
            | {"BENCHMARK_USER_TRACKING": True, "USE_TZ": False},
            rows="SELECT coalesce(sum(page_views), 0) FROM tracking_visitor",
            peer="django-user-tracking",
            note="counts pages and stores none; with a patch for what Django has removed since, "
            "and without its clean-up, which deletes on each request",
            **named,
        ),
    ]


PAGES = [
    *_pages("page", "page", answers.PAGE),
    *_pages("account", "account", answers.GREETING),
]

VARIANTS = [*PIXELS, *PAGES]
NAMED = {variant.name: variant for variant in VARIANTS}

#: Titles of the groups.
GROUPS = {
    "pixel": "Pixel, compared with a bare Django view that returns the same GIF",
    "page": "Page behind sessions and authentication that uses neither",
    "account": "Page that greets the logged-in user (two queries of its own)",
}
