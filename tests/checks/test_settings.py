"""System checks of settings."""

import pytest
from django.core.checks import Error, run_checks

from tracking.backends import BaseBackend

pytestmark = pytest.mark.django_db  # some of the checks that Django brings look at it


class Complaining(BaseBackend):
    def send(self, hit):
        """Never called."""

    def check(self):
        return [Error("no disk", id="example.E001")]


class Unmakeable(BaseBackend):
    def __init__(self):
        raise KeyError("no such host")

    def send(self, hit):
        """Never called."""


def ids(**kwargs):
    return {message.id for message in run_checks(**kwargs) if "tracking" in str(message.id)}


def test_the_defaults_are_fine():
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRACKING_SECRET_KEYS", "one text", "tracking.E001"),
        ("TRACKING_SECRET_KEYS", 7, "tracking.E001"),
        ("TRACKING_SECRET_KEYS", [], "tracking.E001"),
        ("TRACKING_SECRET_KEYS", {"a" * 32}, "tracking.E001"),
        ("TRACKING_SECRET_KEYS", ["a" * 32, ""], "tracking.E002"),
        ("TRACKING_SECRET_KEYS", [None], "tracking.E002"),
        ("TRACKING_SECRET_KEYS", ["short"], "tracking.W002"),
        ("TRACKING_TOKEN_MAX_AGE", 0, "tracking.E003"),
        ("TRACKING_TOKEN_MAX_AGE", "1d", "tracking.E003"),
        ("TRACKING_TOKEN_MAX_AGE", True, "tracking.E003"),
        ("TRACKING_ENCODER", "nowhere.Encoder", "tracking.E004"),
        ("TRACKING_ENCODER", "tracking.hits.Hit", "tracking.E004"),
        ("TRACKING_ENCODER", ".x", "tracking.E004"),
        ("TRACKING_ENCODER", "tracking.tokens.PIXEL", "tracking.E004"),
        ("TRACKING_BASE_URL", "mail.example.com", "tracking.E005"),
        ("TRACKING_BASE_URL", "ftp://mail.example.com", "tracking.E005"),
        ("TRACKING_BASE_URL", "https://[::1", "tracking.E005"),
        ("TRACKING_BASE_URL", "https://a.example/?b", "tracking.E005"),
        ("TRACKING_BASE_URL", "https://exa mple.com", "tracking.E005"),
        ("TRACKING_BASE_URL", "https://a.example\n", "tracking.E005"),
        ("TRACKING_BASE_URL", "https://a.example:99999999", "tracking.E005"),
        ("TRACKING_BACKEND", "nowhere.Backend", "tracking.E006"),
        ("TRACKING_BACKEND", ".x", "tracking.E006"),
        ("TRACKING_BACKEND", "tracking.backends.BaseBackend", "tracking.E006"),
        ("TRACKING_BACKEND", "tracking.hits.Hit", "tracking.E006"),
        ("TRACKING_TRUSTED_PROXIES", "10.0.0.0/8", "tracking.E007"),
        ("TRACKING_TRUSTED_PROXIES", ["10.0.0.0/8", "proxy.example"], "tracking.E007"),
        ("TRACKING_TRUSTED_PROXIES", ["0.0.0.0/0"], "tracking.W005"),
        ("TRACKING_PROXY_COUNT", "1", "tracking.E008"),
        ("TRACKING_PROXY_COUNT", -1, "tracking.E008"),
        ("TRACKING_PROXY_COUNT", True, "tracking.E008"),
        ("TRACKING_PROXY_HEADER", "X-Real-IP", "tracking.W006"),
        ("TRACKING_ANONYMIZE_IP", 24, "tracking.E009"),
        ("TRACKING_ANONYMIZE_IP", (33, 48), "tracking.E009"),
        ("TRACKING_ANONYMIZE_IP", "24", "tracking.E009"),
        ("TRACKING_ANONYMIZE_IP", (True, True), "tracking.E009"),
        ("TRACKING_TRUSTED_PROXIES", ["128.0.0.0/1"], "tracking.W005"),
        ("TRACKING_ENCODER", "tests.checks.test_settings.Unmakeable", "tracking.E004"),
        ("TRACKING_BACKEND", "tests.checks.test_settings.Unmakeable", "tracking.E006"),
        ("TRACKING_MAX_LAG", 0, "tracking.E018"),
        ("TRACKING_MAX_LAG", "1m", "tracking.E018"),
        ("TRACKING_START_WRITER", "yes", "tracking.E024"),
        ("TRACKING_COUNTS_PER_FACET", 0, "tracking.E023"),
        ("TRACKING_COUNTS_PER_FACET", None, "tracking.E023"),
        ("TRACKING_COUNTS_PER_FACET", True, "tracking.E023"),
        ("TRACKING_COUNTS_PER_FACET", "1000", "tracking.E023"),
        ("TRACKING_FILTERED_DAYS", -1, "tracking.E028"),
        ("TRACKING_ATTRIBUTION_DAYS", 0, "tracking.E035"),
        ("TRACKING_ATTRIBUTION_DAYS", "7", "tracking.E035"),
        ("TRACKING_ATTRIBUTION_DAYS", float("inf"), "tracking.E035"),
        ("TRACKING_ATTRIBUTION_DAYS", float("nan"), "tracking.E035"),
        ("TRACKING_ATTRIBUTION_DAYS", True, "tracking.E035"),
        ("TRACKING_GOALS", ["purchase"], "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": 7}, "tracking.E036"),
        ("TRACKING_GOALS", {"": "purchase"}, "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": ""}, "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": " purchase"}, "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": "p" * 101}, "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": "/" + "p" * 100}, "tracking.E036"),
        ("TRACKING_GOALS", {"Purchase": "a\nb"}, "tracking.E036"),
        ("TRACKING_GOALS", {str(n): str(n) for n in range(51)}, "tracking.E036"),
        ("TRACKING_CURRENCY", 7, "tracking.E037"),
        ("TRACKING_CURRENCY", "e" * 11, "tracking.E037"),
        ("TRACKING_GOALS", {"Signed up": "/welcome/"}, "tracking.W023"),
        ("TRACKING_FILTERED_DAYS", None, "tracking.E028"),
        ("TRACKING_FILTERED_DAYS", True, "tracking.E028"),
        ("TRACKING_VERDICT_WINDOW", -1, "tracking.E033"),
        ("TRACKING_VERDICT_WINDOW", "10m", "tracking.E033"),
        ("TRACKING_VERDICT_WINDOW", True, "tracking.E033"),
        ("TRACKING_VERDICT_WINDOW", 86_401, "tracking.E033"),
        ("TRACKING_VERDICT_WINDOW", float("nan"), "tracking.E033"),
        ("TRACKING_BASEURL", "https://a.example", "tracking.W001"),
        ("ROOT_URLCONF", "tests.support.urls_of_admin_only", "tracking.W003"),
    ],
)
def test_every_setting_that_can_be_wrong_has_a_numbered_message(settings, name, value, expected):
    setattr(settings, name, value)
    assert ids() == {expected}


@pytest.mark.parametrize(
    ("backend", "expected"),
    [("immediate.Immediate", {"tracking.W018"}), ("buffered.Buffered", set())],
)
def test_a_writer_that_would_have_nothing_to_write(settings, tmp_path, backend, expected):
    settings.TRACKING_SPOOL = str(tmp_path)
    settings.TRACKING_START_WRITER = True
    settings.TRACKING_BACKEND = f"tracking.backends.{backend}Backend"
    assert ids() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKING_SECRET_KEYS", ["a" * 32, b"b" * 32]),
        ("TRACKING_SECRET_KEYS", ("a" * 32,)),
        ("TRACKING_TOKEN_MAX_AGE", 86_400),
        ("TRACKING_ENCODER", "tests.support.encoders.PlainEncoder"),
        ("TRACKING_BASE_URL", "https://mail.example.com"),
        ("TRACKING_BASE_URL", "https://example.com/shop"),
        ("TRACKING_ID", "a setting of the site's own"),
        ("SECRET_KEY_FALLBACKS", [""]),
        ("TRACKING_BASE_URL", "http://localhost:8000/"),
        ("TRACKING_BACKEND", "tracking.backends.memory.MemoryBackend"),
        ("TRACKING_TRUSTED_PROXIES", ["10.0.0.0/8", "2001:db8::1", "unix"]),
        ("TRACKING_PROXY_COUNT", 2),
        ("TRACKING_ANONYMIZE_IP", True),
        ("TRACKING_ANONYMIZE_IP", (16, 32)),
    ],
)
def test_settings_that_are_right_pass(settings, name, value):
    setattr(settings, name, value)
    assert ids() == set()


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "", "None of yours", None])
def test_the_header_of_the_proxies_is_spelled_as_http_does(settings, header):
    settings.TRACKING_PROXY_COUNT = 1
    settings.TRACKING_PROXY_HEADER = header
    assert ids() == ({"tracking.E010"} if header is not None else set())


@pytest.mark.parametrize(
    ("header", "is_known"),
    [
        ("X-Real-IP", True),
        ("cloudfront-viewer-address", True),
        ("CF-Connecting-IP", True),
        ("X-Viewer-Address", False),
    ],
)
def test_a_header_of_unknown_form_may_have_ports_that_look_like_ipv6(settings, header, is_known):
    settings.TRACKING_PROXY_COUNT = 1
    settings.TRACKING_PROXY_HEADER = header
    assert ids() == (set() if is_known else {"tracking.W015"})


def test_messages_say_what_to_do(settings):
    settings.TRACKING_BASEURL = "https://a.example"
    [message] = [message for message in run_checks() if message.id == "tracking.W001"]
    assert message.hint == "Did you mean TRACKING_BASE_URL?"


def test_a_backend_checks_itself(settings):
    settings.TRACKING_BACKEND = "tests.checks.test_settings.Complaining"
    assert "example.E001" in {message.id for message in run_checks()}


def test_a_deployed_site_is_reminded_of_the_host_in_its_mail(settings):
    assert "tracking.W004" in ids(include_deployment_checks=True)
    settings.TRACKING_BASE_URL = "https://mail.example.com"
    assert "tracking.W004" not in ids(include_deployment_checks=True)
