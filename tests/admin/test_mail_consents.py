"""The ledger of consent in the admin: read-only."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.site.models import Subscriber
from tracking import recipient_consent
from tracking.models import MailConsent

pytestmark = pytest.mark.django_db

LIST = "/admin/tracking/mailconsent/"


@pytest.fixture
def anna():
    anna = Subscriber.objects.create(email="anna@a.example")
    recipient_consent.grant(anna, how="sign-up form", text="v1")
    recipient_consent.withdraw(anna, clicks=False)
    return anna


def test_only_who_may_view_it_sees_it(staff, anna):
    assert staff().get(LIST).status_code == 403
    client = staff("view_mailconsent")
    assert client.get(LIST).status_code == 200
    url = f"{LIST}{MailConsent.objects.get().pk}/change/"
    page = client.get(url).content.decode()
    assert "sign-up form" in page
    assert page.count("tracking-consent-denied") == 2
    assert 'name="_save"' not in page


def test_nobody_changes_it(admin_client, anna):
    pk = MailConsent.objects.get().pk
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{LIST}{pk}/change/", {"opens": "granted"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [pk]}
    admin_client.post(LIST, data)
    assert recipient_consent.state(anna).opens == "denied"
    assert 'value="delete_selected"' not in admin_client.get(LIST).content.decode()


def found(client, term):
    page = client.get(LIST, {"q": term})
    assert page.status_code == 200
    return len(page.context["cl"].result_list)


def test_recipients_are_found(admin_client, anna):
    recipient_consent.deny("ben@müller.example")
    assert found(admin_client, "BEN@xn--mller-kva.example") == 1
    assert found(admin_client, "cleo@a.example") == 0
    assert found(admin_client, str(anna.pk)) == 1
    assert found(admin_client, f"site.subscriber:{anna.pk}") == 1
    assert found(admin_client, f"Site.Subscriber:{anna.pk}") == 1
    for term in ("192.0.2.1", "a\0b", "@", "x:@", "%", " "):
        assert found(admin_client, term) in {0, 2}


def test_filters(admin_client, anna):
    recipient_consent.deny("ben@a.example")
    for query, number in (("opens__exact=denied", 2), ("clicks__exact=granted", 1)):
        page = admin_client.get(f"{LIST}?{query}")
        assert len(page.context["cl"].result_list) == number
    assert admin_client.get(f"{LIST}?how__exact=x").status_code in {302, 400}


def test_a_page_takes_few_queries_whatever_its_length(admin_client, anna):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        return len(captured)

    queries()
    few = queries()
    for number in range(30):
        recipient_consent.deny(Subscriber.objects.create(email=f"{number}@a.example"))
    assert queries() == few


def test_the_recipient_is_named_within_permissions(staff, admin_client, anna):
    name = f"site.subscriber {anna.pk}"
    assert name in staff("view_mailconsent").get(LIST).content.decode()
    anna.delete()
    assert "tracking-gone" in admin_client.get(LIST).content.decode()


def test_a_long_history_is_cut(admin_client, anna, monkeypatch):
    from tracking.admin.mail_consents import MailConsentAdmin

    monkeypatch.setattr(MailConsentAdmin, "MAX_CHANGES", 1)
    page = admin_client.get(f"{LIST}{MailConsent.objects.get().pk}/change/").content.decode()
    assert "Showing the latest 1" in page
