"""Consent of a browser: headers and the callable of the site."""

import pytest
from django.test import RequestFactory

from tracking import exclusions
from tracking.identity.browser_consent import Consent
from tracking.identity.request_info import RequestInfo


def ask(**meta):
    request = RequestFactory().get("/", **meta)
    return RequestInfo(request).consent


def test_without_a_callable_everybody_is_tracked_but_who_opts_out():
    assert ask() is Consent.TRACK
    assert ask(HTTP_DNT="1") is Consent.REFUSE
    assert ask(HTTP_SEC_GPC="1") is Consent.REFUSE
    assert ask(HTTP_DNT="0") is Consent.TRACK
    assert ask(HTTP_DNT="\xff") is Consent.TRACK


def test_opting_out_by_a_header_can_be_overlooked(settings):
    settings.TRACKING_RESPECT_OPT_OUT = False
    assert ask(HTTP_DNT="1", HTTP_SEC_GPC="1") is Consent.TRACK


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("yes", Consent.TRACK),
        ("not_asked", Consent.COUNT),
        ("no", Consent.REFUSE),
        ("odd", Consent.REFUSE),
        ("failing", Consent.REFUSE),
    ],
)
def test_the_callable_of_the_site_decides(settings, answer, expected):
    settings.TRACKING_CONSENT = f"tests.support.consent.{answer}"
    assert ask() is expected


def test_a_callable_that_is_not_there_has_not_said_yes(settings, caplog):
    settings.TRACKING_CONSENT = "tests.support.consent.missing"
    assert ask() is ask() is Consent.REFUSE
    assert len(caplog.records) == 1
    assert not exclusions.opts_out(RequestFactory().get("/"))  # mail is another matter


def test_a_header_outweighs_the_callable(settings):
    settings.TRACKING_CONSENT = "tests.support.consent.yes"
    assert ask(HTTP_SEC_GPC="1") is Consent.REFUSE
