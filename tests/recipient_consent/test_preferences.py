"""The page on which recipients change their mind, and unsubscribing by one click."""

import re

import pytest
from django.db import DatabaseError
from django.template import Context, Template
from django.test import Client
from django.utils import translation

from tests.site.models import Affiliate, Diary, Subscriber
from tracking import links, recipient_consent, tokens
from tracking.models import Beacon, MailConsent, MailConsentChange
from tracking.recipient_consent import ConsentState, ledger, preferences
from tracking.signals import unsubscribed

pytestmark = pytest.mark.django_db

GRANTED, DENIED = ConsentState.GRANTED, ConsentState.DENIED
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def anna():
    return Subscriber.objects.create(email="anna@a.example")


@pytest.fixture(params=["row", "address"])
def recipient(request, anna):
    return anna if request.param == "row" else anna.email


@pytest.fixture
def client():
    """A client of which the site knows nothing, with Django's protection against CSRF on."""
    return Client(enforce_csrf_checks=True)


def switches(response):
    html = response.content.decode()
    return [
        re.search(rf'name="{name}"\s+value="1" checked', html) is not None
        for name in ("opens", "clicks")
    ]


def said(recipient):
    return recipient_consent.state(recipient)[:2]


def test_a_recipient_changes_its_mind(client, recipient):
    url = links.preferences_url(recipient)
    assert switches(client.get(url)) == [True, True]
    response = client.post(url, {"clicks": "1"})
    assert (response.status_code, response["Location"]) == (303, f"{url}?saved")
    assert said(recipient) == (DENIED, GRANTED)
    page = client.get(response["Location"])
    assert switches(page) == [False, True]
    assert "Saved." in page.content.decode()
    client.post(url)
    assert said(recipient) == (DENIED, DENIED)
    assert recipient_consent.state(recipient).how == "preferences page"


def test_the_switches_show_what_applies_to_who_has_said_nothing(client, anna, settings):
    settings.TRACKING_MAIL_CONSENT = {"opens": "if-granted", "clicks": "unless-denied"}
    assert switches(client.get(links.preferences_url(anna))) == [False, True]


def test_a_get_changes_nothing(client, recipient):
    """Scanners follow each link of a mail, and add what they like."""
    url = links.preferences_url(recipient)
    for query in ("", "?saved", "?opens=&clicks=", "?opens=1&List-Unsubscribe=One-Click"):
        assert client.get(url + query).status_code == 200
        assert client.head(url + query).status_code == 200
    for method in (client.put, client.delete, client.patch, client.options):
        assert method(url).status_code == 405
    assert not MailConsent.objects.exists()
    assert not Beacon.objects.exists()


def test_what_mail_programs_add_to_a_url_does_no_harm(client, anna):
    url = links.preferences_url(anna)
    for added in ("/", ".", ")", ">", '"'):
        assert client.get(url + added).status_code == 200
    assert client.post(url + "/").status_code == 303
    assert said(anna) == (DENIED, DENIED)


def test_a_token_serves_one_purpose(client, anna):
    pixel = links.pixel_url(entity=anna).rpartition("/")[2].removesuffix(".gif")
    link = links.link_url("https://shop.example/", entity=anna).rpartition("/")[2]
    preference = links.preferences_url(anna).rpartition("/")[2]
    unsubscribe = links.unsubscribe_url(anna).rpartition("/")[2]
    for token in (pixel, link, unsubscribe, preference[:-1], "A" * 40, "x"):
        assert client.get(f"/t/preferences/{token}").status_code == 404
        assert client.post(f"/t/preferences/{token}").status_code == 404
    for token in (pixel, link, preference):
        assert client.post(f"/t/unsubscribe/{token}", ONE_CLICK).status_code == 404
    for token in (preference, unsubscribe):
        client.get(f"/t/{token}.gif")
        assert client.get(f"/t/{token}").status_code == 404
    assert not Beacon.objects.exists()
    assert not MailConsent.objects.exists()


def test_a_token_without_recipient_is_no_key(client):
    for salt in (tokens.PREFERENCES, tokens.UNSUBSCRIBE):
        name = salt.removeprefix("tracking.")
        token = tokens.dumps((), {}, salt=salt)
        assert client.post(f"/t/{name}/{token}", ONE_CLICK).status_code == 404


def test_the_page_keeps_the_token_to_itself(client, anna):
    for url in (links.preferences_url(anna), links.unsubscribe_url(anna)):
        response = client.get(url)
        assert response["Referrer-Policy"] == "no-referrer"
        assert response["Cache-Control"] == "no-store"
        assert response["X-Frame-Options"] == "DENY"
        assert "noindex" in response["X-Robots-Tag"]
        assert not response.cookies
        html = response.content.decode()
        assert "<script" not in html
        assert "style=" not in html
        assert "http" not in html
        assert anna.email not in html


def test_the_preferences_of_a_deleted_recipient_can_be_changed(client, anna):
    url = links.preferences_url(anna)
    anna.delete()
    assert client.post(url).status_code == 303
    assert MailConsent.objects.get().opens == DENIED


def test_the_key_to_the_page_has_no_end(client, anna, settings):
    settings.TRACKING_TOKEN_MAX_AGE = 1
    assert client.get(links.preferences_url(anna)).status_code == 200


def test_the_text_that_was_shown_is_noted(client, anna, settings):
    with translation.override("de"):
        client.post(links.preferences_url(anna), headers={"accept-language": "de"})
    assert recipient_consent.state(anna).text.startswith("tracking/preferences.html")
    settings.TRACKING_MAIL_CONSENT_TEXT = "spring 2027"
    client.post(links.preferences_url(anna), {"opens": "1"})
    assert recipient_consent.state(anna).text == "spring 2027"


def test_the_history_cannot_be_filled_by_a_stranger_with_the_link(client, anna, monkeypatch):
    monkeypatch.setattr(preferences, "MAX_CHANGES", 6)
    url = links.preferences_url(anna)
    for _ in range(10):
        client.post(url, {"opens": "1"})
        client.post(url)
    assert MailConsentChange.objects.count() == 6
    response = client.post(url, {"opens": "1"})
    assert response.status_code == 429
    assert "only switch both off" in response.content.decode()
    recipient_consent.grant(anna, how="by phone")
    assert client.post(url).status_code == 303, "to refuse is always possible"
    assert said(anna) == (DENIED, DENIED)


def test_a_database_that_is_down_is_told(client, anna, monkeypatch):
    def fail(*args):
        raise DatabaseError

    monkeypatch.setattr(ledger, "state", fail)
    monkeypatch.setattr(ledger, "set_states", fail)
    url = links.preferences_url(anna)
    for response in (client.get(url), client.post(url)):
        assert response.status_code == 503
        assert "try again" in response.content.decode()


def test_the_tags_render_urls(anna):
    def render(text, **context):
        return Template("{% load tracking_tags %}" + text).render(Context(context))

    tag = "{% tracking_preferences_url reader %}"
    assert render(tag, reader=anna) == links.preferences_url(anna)
    assert render(tag, reader=anna.email) == links.preferences_url(anna.email)
    assert render(tag) == ""
    diary = Diary.objects.create()  # which is false
    assert render(tag, reader=diary) == links.preferences_url(diary)
    source = Affiliate.objects.create(name="spring")
    tag = "{% tracking_unsubscribe_url reader source=source %}"
    assert render(tag, reader=anna, source=source) == links.unsubscribe_url(anna, source=source)
    assert render(tag) == ""
    with pytest.raises(ValueError, match="no e-mail address"):
        links.preferences_url("anna")


def test_tags_render_neither_pixel_nor_links_for_who_denied(anna):
    template = Template(
        "{% load tracking_tags %}{% tracking_pixel entity=anna %}"
        "|{% tracking_link 'https://shop.example/?a=1&b=2' entity=anna %}"
    )
    pixel, link = template.render(Context({"anna": anna})).split("|")
    assert "<img" in pixel
    assert "/t/" in link
    recipient_consent.deny(anna)
    raw = "https://shop.example/?a=1&amp;b=2"
    assert template.render(Context({"anna": anna})).split("|") == ["", raw]
    recipient_consent.grant(anna, clicks=False)
    pixel, link = template.render(Context({"anna": anna})).split("|")
    assert ("<img" in pixel, link) == (True, raw)


# One click.


@pytest.fixture
def received():
    calls = []

    def note(sender, **arguments):
        arguments.pop("signal")
        arguments.pop("request")
        if calls and calls[-1] == "fail":
            raise RuntimeError("the site's own fault")
        calls.append(arguments)

    unsubscribed.connect(note, weak=False)
    yield calls
    unsubscribed.disconnect(note)


def test_one_click_tells_the_site(client, anna, received):
    source = Affiliate.objects.create(name="spring")
    url = links.unsubscribe_url(anna, source=source)
    assert client.get(url).status_code == 200
    assert client.head(url).status_code == 200
    assert received == []
    assert client.post(url, ONE_CLICK).status_code == 200
    assert received == [{"entity": anna, "address": "", "source": source}]
    form = "List-Unsubscribe=One-Click"  # as providers send it, RFC 8058, section 8
    client.post(links.unsubscribe_url("Anna@a.example"), form, "application/x-www-form-urlencoded")
    assert received[1:] == [{"entity": None, "address": "Anna@a.example", "source": None}]
    assert not MailConsent.objects.exists(), "the site decides what it means"


def test_another_post_does_not_unsubscribe(client, anna, received):
    url = links.unsubscribe_url(anna)
    for data in ({}, {"List-Unsubscribe": "No"}, {"opens": "1"}):
        assert client.post(url, data).status_code == 400
    assert received == []


def test_a_failure_is_not_taken_for_success(client, anna, received):
    received.append("fail")
    response = client.post(links.unsubscribe_url(anna), ONE_CLICK)
    assert response.status_code == 500
    assert "did not work" in response.content.decode()


def test_without_a_receiver_nobody_is_told_that_it_worked(client, anna, monkeypatch):
    monkeypatch.setattr(unsubscribed, "receivers", [])
    unsubscribed.sender_receivers_cache.clear()
    assert client.post(links.unsubscribe_url(anna), ONE_CLICK).status_code == 500


def test_a_deleted_recipient_unsubscribes(client, anna, received):
    url = links.unsubscribe_url(anna)
    anna.delete()
    assert client.post(url, ONE_CLICK).status_code == 200
    assert received == [{"entity": None, "address": "", "source": None}]
