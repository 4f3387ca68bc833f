"""The settings of the app: one typed property each.

    from tracking.conf import conf

    conf.base_url        # "https://mail.example.com", or "" where nothing is set

A property returns the setting as the site wrote it. The system checks (:mod:`tracking.checks`)
report a wrong value, with a number and a hint; it is never an error at import.

Django takes microseconds to say that a setting is not set. So each property reads its setting
once, and again after a setting has changed (``override_settings``). The same goes for what code
makes of settings::

    @until_settings_change
    @cache
    def _policy() -> Policy:
        return Policy(conf.trusted_proxies, conf.proxy_count)
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

PREFIX = "TRACKING_"

#: The rules of :mod:`tracking.exclusions`, all of them.
DEFAULT_EXCLUDE = ("admin", "static", "xhr", "frames", "errors", "non_html")


class Settings:
    """The app's view of ``django.conf.settings``."""

    @cached_property
    def secret_keys(self) -> Sequence[str | bytes]:
        """``TRACKING_SECRET_KEYS``: the secrets of the tokens, newest first.

        New tokens are made with the first; tokens of all of them are read. Sites with the same
        secrets and URL prefix read each other's tokens. Default: ``SECRET_KEY`` followed by
        ``SECRET_KEY_FALLBACKS``.
        """
        keys: Sequence[str | bytes] | None = self._get("SECRET_KEYS", None)
        if keys is None:
            # An empty fallback comes from an environment variable that is not set.
            return [settings.SECRET_KEY, *(key for key in settings.SECRET_KEY_FALLBACKS if key)]
        return keys

    @cached_property
    def token_max_age(self) -> int | None:
        """``TRACKING_TOKEN_MAX_AGE``: seconds after which a pixel or link no longer counts.

        Default ``None``: they count for ever. With an age limit tokens are dated to the day
        (UTC), so that a mail rendered twice on one day has the same URLs.
        """
        age: int | None = self._get("TOKEN_MAX_AGE", None)
        return age

    @cached_property
    def encoder(self) -> str:
        """``TRACKING_ENCODER``: dotted path of an encoder of tokens.

        It is an object, or a class without arguments, with ``encrypt(*args, **kwargs) -> str``
        and ``decrypt(token) -> (args, kwargs)``. Default ``""``: the authenticated encryption of
        :mod:`tracking.tokens`.
        """
        return str(self._get("ENCODER", "") or "")

    @cached_property
    def base_url(self) -> str:
        """``TRACKING_BASE_URL``: scheme and host of the URLs of pixels and links.

        It may be another domain that runs this app with the same secrets and URL prefix. Default
        ``""``: the host of the request that the template is rendered for; without a request,
        URLs have no host.
        """
        return str(self._get("BASE_URL", "") or "").rstrip("/")

    @cached_property
    def backend(self) -> str:
        """``TRACKING_BACKEND``: dotted path of the class that saves hits.

        Default ``""``: the app chooses, see :mod:`tracking.backends.automatic`.
        """
        return str(self._get("BACKEND", "") or "")

    @cached_property
    def spool(self) -> str:
        """``TRACKING_SPOOL``: the folder on a local disk in which hits wait.

        Only some backends have one. Default ``""``: a folder in ``$STATE_DIRECTORY``, else beside
        the SQLite database, else among temporary files, named after user and site.
        """
        return str(self._get("SPOOL", "") or "")

    @cached_property
    def start_writer(self) -> bool:
        """``TRACKING_START_WRITER``: whether a process that records starts a writer process.

        If none is at work, the first process that notices starts ``tracking_writer`` as its child,
        which writes the hits of all processes. Default ``False``: each writes its own, or you
        start a writer process.
        """
        return self._get("START_WRITER", False)  # type: ignore[no-any-return]

    @cached_property
    def max_lag(self) -> float:
        """``TRACKING_MAX_LAG``: seconds after which a waiting hit is late.

        Default 60. A late hit is logged, and the health view responds with 503.
        """
        seconds: float = self._get("MAX_LAG", 60)
        return seconds

    @cached_property
    def trusted_proxies(self) -> Sequence[str]:
        """``TRACKING_TRUSTED_PROXIES``: networks of the site's own proxies.

        Addresses or networks in CIDR notation, IPv4 or IPv6, and ``"unix"`` for a peer behind a
        unix socket. Default ``[]``: no proxy is trusted.
        """
        proxies: Sequence[str] = self._get("TRUSTED_PROXIES", ())
        return proxies

    @cached_property
    def proxy_count(self) -> int | None:
        """``TRACKING_PROXY_COUNT``: how many proxies stand in front of the site.

        So many hops are trusted, or fewer if ``TRACKING_TRUSTED_PROXIES`` is set, too. Default
        ``None``: as many as that setting trusts.
        """
        count: int | None = self._get("PROXY_COUNT", None)
        return count

    @cached_property
    def proxy_header(self) -> str:
        """``TRACKING_PROXY_HEADER``: the header in which proxies list the hops of a request.

        Default ``"X-Forwarded-For"``. ``"Forwarded"`` is read by RFC 7239, any other header as a
        list of addresses.
        """
        header = self._get("PROXY_HEADER", None)
        return "X-Forwarded-For" if header is None else str(header)

    @cached_property
    def anonymize_ip(self) -> bool | Sequence[int]:
        """``TRACKING_ANONYMIZE_IP``: whether addresses are masked before they are recorded.

        ``True`` keeps the first 24 bits of IPv4 and 48 of IPv6; a pair of numbers keeps so many
        bits. Default ``False``: addresses are recorded whole.
        """
        anonymize: bool | Sequence[int] = self._get("ANONYMIZE_IP", False)
        return anonymize

    @cached_property
    def timeout(self) -> float:
        """``TRACKING_TIMEOUT``: minutes for which a visitor is active after its last page.

        Default 10.
        """
        minutes: float = self._get("TIMEOUT", 10)
        return minutes

    @cached_property
    def cookies(self) -> bool:
        """``TRACKING_COOKIES``: whether a signed first-party cookie identifies a visitor.

        Default ``True``. With ``False`` a visitor keeps its key for one day (UTC), and nobody can
        find out whose key it was once the day is over.
        """
        return bool(self._get("COOKIES", True))

    @cached_property
    def cookie_name(self) -> str:
        """``TRACKING_COOKIE_NAME``: the name of that cookie. Default ``"visitor"``."""
        return str(self._get("COOKIE_NAME", "visitor"))

    @cached_property
    def cookie_age(self) -> int:
        """``TRACKING_COOKIE_AGE``: seconds after which the cookie expires. It is never renewed.

        Default: 395 days, the thirteen months that the French regulator allows for a cookie of
        audience measurement (CNIL, guidelines of 17 September 2020, article 5).
        """
        age: int = self._get("COOKIE_AGE", 395 * 24 * 60 * 60)
        return age

    @cached_property
    def new_visitors_per_network(self) -> int | None:
        """``TRACKING_NEW_VISITORS_PER_NETWORK``: new visitors of a network in a minute.

        A network is a /24 of IPv4 or a /64 of IPv6. Pages of more visitors are counted and not
        stored, by each process. Default ``None``: all are stored.
        """
        limit: int | None = self._get("NEW_VISITORS_PER_NETWORK", None)
        return limit

    @cached_property
    def page_views(self) -> bool:
        """``TRACKING_PAGE_VIEWS``: whether each page view is saved as a row. Default ``True``.

        Visitors and visits count their pages in any case.
        """
        return bool(self._get("PAGE_VIEWS", True))

    @cached_property
    def respect_opt_out(self) -> bool:
        """``TRACKING_RESPECT_OPT_OUT``: whether ``DNT: 1`` and ``Sec-GPC: 1`` are respected.

        Default ``True``: browsers that send them are not tracked, on pages or in mail.
        """
        return bool(self._get("RESPECT_OPT_OUT", True))

    @cached_property
    def consent(self) -> str | Callable[[HttpRequest], object]:
        """``TRACKING_CONSENT``: a callable, or its dotted path, that returns a reader's consent.

        It gets the request, and returns ``True`` (track), ``None`` (not asked yet: track without
        a cookie) or ``False`` (do not track). Default ``""``: every reader is tracked.
        """
        consent: str | Callable[[HttpRequest], object] = self._get("CONSENT", "") or ""
        return consent

    @cached_property
    def exclude(self) -> Sequence[str]:
        """``TRACKING_EXCLUDE``: names of the rules by which a request is not a page view.

        Default: all of :data:`tracking.exclusions.RULES`.
        """
        rules: Sequence[str] = self._get("EXCLUDE", DEFAULT_EXCLUDE)
        return rules

    @cached_property
    def no_tracking_prefixes(self) -> Sequence[str]:
        """``NO_TRACKING_PREFIXES``: beginnings of paths whose pages are not tracked.

        Default ``[]``.
        """
        prefixes: Sequence[str] = self._get_plain("NO_TRACKING_PREFIXES", ())
        return prefixes

    @cached_property
    def ban_status(self) -> int:
        """``TRACKING_BAN_STATUS``: the status of the response to a banned client.

        Default 403.
        """
        status: int = self._get("BAN_STATUS", 403)
        return status

    @cached_property
    def ban_template(self) -> str:
        """``TRACKING_BAN_TEMPLATE``: the template of that response.

        Default ``"tracking/banned.html"``.
        """
        return str(self._get("BAN_TEMPLATE", "tracking/banned.html"))

    @cached_property
    def cleanup_timeout(self) -> float | None:
        """``TRACKING_CLEANUP_TIMEOUT``: hours after which a ``Visitor`` is deleted.

        Default 24. ``None`` keeps it. Its visits stay.
        """
        hours: float | None = self._get("CLEANUP_TIMEOUT", 24)
        return hours

    @cached_property
    def visit_retention(self) -> float | None:
        """``TRACKING_VISIT_RETENTION``: days after which a ``Visit`` is deleted.

        Default 760, the twenty-five months of the same guidelines. ``None`` keeps it.
        """
        days: float | None = self._get("VISIT_RETENTION", 760)
        return days

    @cached_property
    def page_view_retention(self) -> float | None:
        """``TRACKING_PAGE_VIEW_RETENTION``: days after which a ``PageView`` is deleted.

        Default 395: a month can be compared with the same one a year before.
        """
        days: float | None = self._get("PAGE_VIEW_RETENTION", 395)
        return days

    @cached_property
    def beacon_retention(self) -> float | None:
        """``TRACKING_BEACON_RETENTION``: days after which a ``Beacon`` is deleted.

        Default ``None``: beacons are kept.
        """
        days: float | None = self._get("BEACON_RETENTION", None)
        return days

    @cached_property
    def receipt_retention(self) -> float | None:
        """``TRACKING_RECEIPT_RETENTION``: days after which a ``WrittenBatch`` is deleted.

        Default 7. It prevents that a batch of hits which is delivered again is written twice. So
        keep it longer than a batch may wait in a broker, or on the disk of a host that is down.
        """
        days: float | None = self._get("RECEIPT_RETENTION", 7)
        return days

    @cached_property
    def sent_message_retention(self) -> float | None:
        """``TRACKING_SENT_MESSAGE_RETENTION``: days after which a ``SentMessage`` is deleted.

        Default 90. For so long events of mail providers find the message they are about.
        """
        days: float | None = self._get("SENT_MESSAGE_RETENTION", 90)
        return days

    @cached_property
    def unmatched_event_retention(self) -> float | None:
        """``TRACKING_UNMATCHED_EVENT_RETENTION``: days after which an unmatched event is deleted.

        Default 7. Such an event of a mail provider names no message of this site.
        """
        days: float | None = self._get("UNMATCHED_EVENT_RETENTION", 7)
        return days

    @cached_property
    def daily_count_retention(self) -> float | None:
        """``TRACKING_DAILY_COUNT_RETENTION``: days after which a month is counted as one.

        Default 760, as long as visits are kept: a year can be compared with the one before, day by
        day. ``None`` keeps the counts of days.
        """
        days: float | None = self._get("DAILY_COUNT_RETENTION", 760)
        return days

    @cached_property
    def counts_per_facet(self) -> int:
        """``TRACKING_COUNTS_PER_FACET``: values of a facet that each day counts one by one.

        Default 1,000: the largest. All others of the day, such as paths that hardly anybody asks
        for, are counted as one.
        """
        number: int = self._get("COUNTS_PER_FACET", 1_000)
        return number

    @cached_property
    def mail(self) -> str | Callable[[Any], object]:
        """``TRACKING_MAIL``: which messages :class:`tracking.mail.TrackingEmailBackend` tracks.

        ``"opt-in"`` (the default): those that ask for it, by a header ``X-Tracking`` or an
        attribute ``tracking``. ``"all"``: all of them. Or a callable, or its dotted path, that
        gets the message and returns what its attribute could be, or ``None``.
        """
        rule: str | Callable[[Any], object] = self._get("MAIL", "opt-in")
        return rule

    @cached_property
    def mail_consent(self) -> str | Mapping[str, str]:
        """``TRACKING_MAIL_CONSENT``: whether recipients are tracked who have said nothing.

        ``"if-granted"``: no, only those who have agreed. ``"unless-denied"``: yes, all but those
        who have refused. Or one of the two for each: ``{"opens": "if-granted", "clicks":
        "unless-denied"}``. Default ``""``: not chosen, which is as ``"unless-denied"``.
        """
        asked: str | Mapping[str, str] = self._get("MAIL_CONSENT", "") or ""
        return asked

    @cached_property
    def mail_consent_text(self) -> str:
        """``TRACKING_MAIL_CONSENT_TEXT``: the version of the text on the preferences page.

        It is noted with each change. Change it with the text of your template. Default ``""``: the
        name of the template and the language.
        """
        return str(self._get("MAIL_CONSENT_TEXT", "") or "")

    @cached_property
    def mail_backend(self) -> str:
        """``TRACKING_MAIL_BACKEND``: dotted path of the mail backend that sends.

        With ``MAILERS`` it is not used. Default: Django's backend for SMTP.
        """
        return str(self._get("MAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend"))

    @cached_property
    def test_recipients(self) -> Sequence[str]:
        """``TRACKING_TEST_RECIPIENTS``: addresses whose messages are tests, which count nothing.

        Default ``[]``.
        """
        recipients: Sequence[str] = self._get("TEST_RECIPIENTS", ())
        return [recipients] if isinstance(recipients, str) else recipients

    @cached_property
    def verdict_window(self) -> float:
        """``TRACKING_VERDICT_WINDOW``: seconds in which hits of a message are compared.

        Default 600. A verdict can be corrected until then. 0 compares none.
        """
        seconds: float = self._get("VERDICT_WINDOW", 600)
        return seconds

    @cached_property
    def webhook_thread(self) -> bool:
        """``TRACKING_WEBHOOK_THREAD``: whether processes that write hits deliver webhooks, too.

        A thread of theirs does it, beside the writing. Default ``True``. With ``False`` you run
        ``tracking_webhooks``, or the Celery task.
        """
        return bool(self._get("WEBHOOK_THREAD", True))

    @cached_property
    def webhook_timeout(self) -> float:
        """``TRACKING_WEBHOOK_TIMEOUT``: seconds that a delivery may take, all in all.

        Default 15, the least that Standard Webhooks recommends.
        """
        seconds: float = self._get("WEBHOOK_TIMEOUT", 15)
        return seconds

    @cached_property
    def webhook_http(self) -> bool:
        """``TRACKING_WEBHOOK_HTTP``: whether endpoints may have ``http://`` addresses.

        Default: the value of ``DEBUG``.
        """
        return bool(self._get("WEBHOOK_HTTP", settings.DEBUG))

    @cached_property
    def webhook_networks(self) -> Sequence[str]:
        """``TRACKING_WEBHOOK_NETWORKS``: networks that are not public and have endpoints.

        Addresses or networks in CIDR notation. Default ``[]``: webhooks go to public addresses
        only.
        """
        networks: Sequence[str] = self._get("WEBHOOK_NETWORKS", ())
        return networks

    @cached_property
    def webhook_backlog(self) -> float:
        """``TRACKING_WEBHOOK_BACKLOG``: megabytes of messages that are kept for each endpoint.

        Default 50. The oldest are dropped, and counted.
        """
        megabytes: float = self._get("WEBHOOK_BACKLOG", 50)
        return megabytes

    @cached_property
    def webhook_retention(self) -> float | None:
        """``TRACKING_WEBHOOK_RETENTION``: days after which a message is deleted.

        Default 30, for messages that could not be delivered. Delivered ones are deleted at once.
        """
        days: float | None = self._get("WEBHOOK_RETENTION", 30)
        return days

    @cached_property
    def filtered_days(self) -> int:
        """``TRACKING_FILTERED_DAYS``: counts of days with filters that are kept.

        Default 10,000, one for each filter and day; those not used for the longest time are
        deleted. 0 keeps none: each report with a filter reads all rows of its days.
        """
        number: int = self._get("FILTERED_DAYS", 10_000)
        return number

    @cached_property
    def report_recipients(self) -> Sequence[str]:
        """``TRACKING_REPORT_RECIPIENTS``: addresses that get the weekly report by mail.

        Default ``[]``.
        """
        recipients: Sequence[str] = self._get("REPORT_RECIPIENTS", ())
        return [recipients] if isinstance(recipients, str) else recipients

    @cached_property
    def attribution_days(self) -> float | None:
        """``TRACKING_ATTRIBUTION_DAYS``: days for which a click leads to what happens after it.

        Default 7. An event is credited to the last click of its person in so many days before
        it. ``None`` credits nothing.
        """
        days: float | None = self._get("ATTRIBUTION_DAYS", 7)
        return days

    @cached_property
    def goals(self) -> Mapping[str, str]:
        """``TRACKING_GOALS``: what mailings are for, by the names that reports show.

        Each is the name of an event, such as ``"purchase"``, or the beginning of a path, such as
        ``"/welcome/"``. Default ``{}``: reports count all events as one goal.
        """
        goals: Mapping[str, str] = self._get("GOALS", {})
        return goals

    @cached_property
    def currency(self) -> str:
        """``TRACKING_CURRENCY``: the text that reports show after values. Default ``""``."""
        return str(self._get("CURRENCY", "") or "")

    @cached_property
    def use_geoip(self) -> bool:
        """``TRACKING_USE_GEOIP``: whether addresses are looked up in a GeoIP database.

        Default ``False``.
        """
        return bool(self._get("USE_GEOIP", False))

    @cached_property
    def geoip_path(self) -> str:
        """``GEOIP_PATH``: that database, a ``.mmdb`` file or a folder that contains one.

        Default ``""``. Django's own GeoIP2 reads the same setting.
        """
        return str(self._get_plain("GEOIP_PATH", "") or "")

    @cached_property
    def geoip_cache_type(self) -> int:
        """``GEOIP_CACHE_TYPE``: how the GeoIP database is read. Default 4.

        As in django-user-tracking, 1 loads the file into memory. 0, 2 and 4 map it, so that
        the system keeps the parts in use in memory. All are reopened when the file is replaced.
        """
        cache_type: int = self._get_plain("GEOIP_CACHE_TYPE", 4)
        return cache_type

    @cached_property
    def map_template(self) -> str:
        """``DEFAULT_TRACKING_TEMPLATE``: the template of the page of active visitors.

        Default ``"tracking/visitor_map.html"``, which another may extend.
        """
        template = self._get_plain("DEFAULT_TRACKING_TEMPLATE", "") or "tracking/visitor_map.html"
        return str(template)

    @cached_property
    def map_tiles(self) -> str:
        """``TRACKING_MAP_TILES``: the URL of map tiles, with ``{z}``, ``{x}`` and ``{y}``.

        Default ``""``: the map shows outlines of countries, which are part of this app.
        """
        return str(self._get("MAP_TILES", "") or "")

    @cached_property
    def map_attribution(self) -> str:
        """``TRACKING_MAP_ATTRIBUTION``: the copyright of the tiles, as text. Default ``""``."""
        return str(self._get("MAP_ATTRIBUTION", "") or "")

    def _get(self, name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)

    def _get_plain(self, name: str, default: Any) -> Any:
        return getattr(settings, name, default)


conf = Settings()

Cached = TypeVar("Cached", bound="_lru_cache_wrapper[Any]")
Callback = TypeVar("Callback", bound=Callable[[], object])

_callbacks: list[tuple[frozenset[str], Callable[[], object]]] = []


def until_settings_change(function: Cached) -> Cached:
    """Decorate a cached function, so that it forgets its results when any setting changes.

    Args:
        function: what ``functools.cache`` or ``functools.lru_cache`` returned.
    """
    on_change()(function.cache_clear)
    return function


def on_change(*names: str) -> Callable[[Callback], Callback]:
    """Decorate a function that is called after a setting has changed.

    Args:
        names: full names of settings; without any, it is called for each setting.
    """

    def register(callback: Callback) -> Callback:
        _callbacks.append((frozenset(names), callback))
        return callback

    return register


def _forget(*, setting: str, **_: Any) -> None:
    vars(conf).clear()
    for names, callback in _callbacks:
        if not names or setting in names:
            callback()


# The only receiver of the app: settings change in tests alone.
setting_changed.connect(_forget)


def full_name(name: str) -> str:
    """Return the name of the setting behind a property.

    >>> full_name("base_url"), full_name("geoip_path")
    ('TRACKING_BASE_URL', 'GEOIP_PATH')
    """
    return _PLAIN.get(name, PREFIX + name.upper())


#: Settings of the predecessor that do not begin with the prefix.
_PLAIN = {
    **{name: name.upper() for name in ("no_tracking_prefixes", "geoip_path", "geoip_cache_type")},
    "map_template": "DEFAULT_TRACKING_TEMPLATE",
}

#: Every setting above by its full name, for the check that finds misspelled ones.
NAMES = frozenset(
    full_name(name)
    for name, member in vars(Settings).items()
    if isinstance(member, cached_property)
)
