import importlib.util

from django.core.checks import run_checks

from tracking.checks.tags import TAG


def found(name):
    return [check for check in run_checks(tags=[TAG]) if check.id == f"tracking.{name}"]


def test_all_is_well():
    assert found("E038") == found("W024") == []


def test_anymail_is_missing(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "anymail" else find_spec(name)
    )
    [error] = found("E038")
    assert "pip install django-beacons[anymail]" in error.hint


def test_the_webhooks_have_no_url(settings):
    settings.ROOT_URLCONF = "tests.urls"
    [warning] = found("W024")
    assert 'include("anymail.urls")' in warning.hint


def test_a_site_without_the_app(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if "anymail" not in app]
    settings.ROOT_URLCONF = "tests.urls"
    assert found("E038") == found("W024") == []
