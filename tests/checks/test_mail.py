import django
import pytest

from tracking.checks.mail import check_base_url_of_mail, check_mail_backend, check_mail_rule
from tracking.checks.mail_consent import check_choice, check_value

BACKEND = "tracking.mail.TrackingEmailBackend"


with_email_backend = pytest.mark.skipif(
    django.VERSION >= (6, 1), reason="MAILERS take the place of EMAIL_BACKEND"
)


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    "rule", ["opt-in", "all", "tests.site.mail_rules.to_anna", lambda message: None]
)
def test_rules(settings, rule):
    settings.TRACKING_MAIL = rule
    assert check_mail_rule() == []


@pytest.mark.parametrize("rule", ["some", "no.such.rule", "", None, 7])
def test_what_is_no_rule(settings, rule):
    settings.TRACKING_MAIL = rule
    [error] = check_mail_rule()
    assert error.id == "tracking.E025"
    assert repr(rule) in error.msg


@with_email_backend
@pytest.mark.parametrize("path", [BACKEND, "no.such.Backend", "smtp"])
def test_what_is_no_backend_that_sends(settings, path):
    settings.EMAIL_BACKEND = BACKEND
    settings.TRACKING_MAIL_BACKEND = path
    assert ids(check_mail_backend()) == ["tracking.E026"]


@with_email_backend
def test_backends_that_send(settings):
    settings.TRACKING_MAIL_BACKEND = "no.such.Backend"
    assert check_mail_backend() == []  # it is not used
    settings.EMAIL_BACKEND = BACKEND
    settings.TRACKING_MAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert check_mail_backend() == []


@pytest.mark.parametrize(
    "where", [pytest.param("EMAIL_BACKEND", marks=with_email_backend), "MAILERS"]
)
def test_links_in_mail_need_a_host(settings, where):
    assert check_base_url_of_mail() == []
    if where == "MAILERS":
        settings.MAILERS = {
            "default": {"BACKEND": BACKEND, "OPTIONS": {"mailer": "smtp"}},
            "smtp": {},
        }
    else:
        settings.EMAIL_BACKEND = BACKEND
    settings.TRACKING_BASE_URL = ""
    assert ids(check_base_url_of_mail()) == ["tracking.E027"]
    settings.TRACKING_BASE_URL = "https://mail.example"
    assert check_base_url_of_mail() == []


@with_email_backend
def test_a_site_that_sends_tracked_mail_is_asked_to_choose(settings):
    assert check_choice() == []
    settings.EMAIL_BACKEND = BACKEND
    [warning] = check_choice()
    assert warning.id == "tracking.W020"
    assert "if-granted" in warning.hint
    assert "unless-denied" in warning.hint
    settings.TRACKING_MAIL_CONSENT = "if-granted"
    assert check_choice() == []


@pytest.mark.parametrize(
    "choice",
    ["if-granted", "unless-denied", {"opens": "if-granted", "clicks": "unless-denied"}, "", None],
)
def test_choices(settings, choice):
    settings.TRACKING_MAIL_CONSENT = choice
    assert check_value() == []


@pytest.mark.parametrize(
    "choice",
    [
        *("opt-in", True, 7, ["if-granted"], {"opens": "if-granted"}),
        {"opens": "if-granted", "clicks": []},
        {"opens": "if-granted", "clicks": "unless-denied", "sales": "if-granted"},
    ],
)
def test_what_is_no_choice(settings, choice):
    settings.TRACKING_MAIL_CONSENT = choice
    assert ids(check_value()) == ["tracking.E030"]
