"""Settings: read once, and again after one has changed."""

from functools import cache

import pytest
from django.test import override_settings

from tracking import conf as conf_module
from tracking.conf import conf, on_change, until_settings_change


@pytest.fixture(autouse=True)
def own_callbacks(monkeypatch):
    monkeypatch.setattr(conf_module, "_callbacks", [])


def test_a_setting_is_read_once_until_it_changes(monkeypatch):
    read = []
    original = conf_module.Settings._get
    monkeypatch.setattr(
        conf_module.Settings,
        "_get",
        lambda self, name, default: read.append(name) or original(self, name, default),
    )
    with override_settings(TRACKING_TIMEOUT=3):
        assert (conf.timeout, conf.timeout) == (3, 3)
    assert read == ["TIMEOUT"]
    assert (conf.timeout, conf.timeout) == (10, 10)
    assert read == ["TIMEOUT", "TIMEOUT"]


def test_a_default_from_another_setting_follows_it():
    assert conf.secret_keys == ["a secret that only the tests have"]
    with override_settings(SECRET_KEY="another"):
        assert conf.secret_keys == ["another"]


def test_what_is_made_of_settings_is_made_anew_after_any_change():
    made = []

    @until_settings_change
    @cache
    def seconds():
        made.append(conf.timeout * 60)
        return made[-1]

    assert (seconds(), seconds()) == (600, 600)
    with override_settings(TRACKING_TIMEOUT=1):
        assert (seconds(), seconds()) == (60, 60)
    assert seconds() == 600
    assert made == [600, 60, 600]


def test_a_function_is_called_for_the_settings_that_it_names():
    called = []

    @on_change("TRACKING_TIMEOUT")
    def note():
        called.append(conf.timeout)

    with override_settings(TRACKING_TIMEOUT=3):
        assert called == [3]
        with override_settings(TRACKING_BASE_URL="https://a.example"):
            assert called == [3]
    assert called == [3, 10]
