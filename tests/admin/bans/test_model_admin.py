"""The list and the form of bans, and those of untracked user agents."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from tests.support.admin_pages import BANS, add_ban, text_of
from tracking import bans
from tracking.admin.bans.confirmation import confirmation_url
from tracking.caching import snapshots
from tracking.models import BannedIP, UntrackedUserAgent, Visitor

pytestmark = pytest.mark.django_db


def visitor(address):
    return Visitor.objects.create(ip_address=address)


def test_the_list_shows_what_is_banned_and_how_long(admin_client):
    bans.ban("192.0.2.0/24", "scrapes", timezone.now() + timedelta(days=3, hours=1))
    bans.ban("192.0.2.7", "", timezone.now() - timedelta(days=3))
    bans.ban("2001:db8::/32")
    html = text_of(admin_client.get(BANS)).replace("\xa0", " ")
    for text in ("192.0.2.0/24", "scrapes", "in 3 days", "expired", "never", "2001:db8::/32"):
        assert text in html
    assert f'href="{BANS}import/"' in html
    assert f'href="{BANS}export/"' in html


def results(client, query):
    response = client.get(f"{BANS}?{query}")
    assert response.status_code == 200
    return {ban.network for ban in response.context["cl"].result_list}


def test_a_ban_is_found_by_any_address_in_it(admin_client):
    for network in ("192.0.2.0/24", "192.0.2.7", "192.0.2.8", "2001:db8::/32", "10.0.0.0/8"):
        bans.ban(network, f"reason of {network}")
    assert results(admin_client, "q=192.0.2.7") == {"192.0.2.0/24", "192.0.2.7"}
    assert results(admin_client, "q=[2001:db8::77]:443") == {"2001:db8::/32"}
    assert results(admin_client, "q=192.0.2.0/25") == {"192.0.2.0/24"}
    assert results(admin_client, "q=reason+of+10") == {"10.0.0.0/8"}
    assert results(admin_client, "q=%00") == results(admin_client, "")
    bans.ban("10.0.0.0/8", "", timezone.now() - timedelta(days=1))
    assert results(admin_client, "state=expired") == {"10.0.0.0/8"}
    assert len(results(admin_client, "state=live")) == 4


def test_a_ban_by_hand(admin_client):
    assert add_ban(admin_client, "192.0.2.9/24", reason="scrapes").status_code == 302
    ban = BannedIP.objects.get()
    assert (ban.network, ban.reason) == ("192.0.2.0/24", "scrapes")
    html = text_of(admin_client.get(f"{BANS}{ban.pk}/change/"))
    assert "192.0.2.0/24" in html
    admin_client.post(f"{BANS}{ban.pk}/change/", {"network": "192.0.2.0/24", "reason": "new"})
    ban.refresh_from_db()
    assert ban.reason == "new"


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("127.0.0.1", "this would lock you out"),
        ("127.0.0.0/8", "this would lock you out"),
        ("10.1.1.1", "a proxy of this site"),
        ("0.0.0.0/0", "contains every address"),
        ("rubbish", "neither an IP address nor a network"),
    ],
)
def test_nobody_bans_oneself_nor_the_proxies_nor_everybody(admin_client, settings, network, why):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert why in text_of(add_ban(admin_client, network))
    assert not BannedIP.objects.exists()


def test_a_ban_that_hits_visitors_is_confirmed_first(admin_client):
    for _ in range(3):
        visitor("192.0.2.7")
    assert 'type="checkbox" name="confirmed"' not in text_of(admin_client.get(f"{BANS}add/"))
    html = text_of(add_ban(admin_client, "192.0.2.0/24"))
    assert "Affects 3 current visitors." in html
    assert 'type="checkbox" name="confirmed"' in html
    assert not BannedIP.objects.exists()
    assert add_ban(admin_client, "192.0.2.0/24", confirmed="on").status_code == 302
    [ban] = BannedIP.objects.all()
    # Only who is kept out is asked about, not each other change.
    response = admin_client.post(
        f"{BANS}{ban.pk}/change/", {"network": "192.0.2.0/24", "reason": "new"}
    )
    assert response.status_code == 302


def test_confirming_does_not_overrule_an_objection(admin_client):
    assert "lock you out" in text_of(add_ban(admin_client, "127.0.0.1", confirmed="on"))


def test_a_ban_in_the_past_is_refused_but_may_end_an_old_one(admin_client):
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "expiry is in the past" in text_of(add_ban(admin_client, "192.0.2.7", **past))
    ban = bans.ban("192.0.2.7")
    data = {"network": "192.0.2.7", "reason": "", **past}
    assert admin_client.post(f"{BANS}{ban.pk}/change/", data).status_code == 302


def test_deleting_lifts_bans(admin_client):
    for network in ("192.0.2.7", "192.0.2.8"):
        bans.ban(network)
    keys = list(BannedIP.objects.values_list("pk", flat=True))
    snapshots.refresh()
    assert bans.is_banned("192.0.2.7")
    admin_client.post(BANS, {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
    snapshots.refresh()
    assert not bans.is_banned("192.0.2.7")
    assert not bans.is_banned("192.0.2.8")


def test_addresses_are_masked_for_who_may_not_see_them(staff):
    ban = bans.ban("192.0.2.7", "scrapes")
    bans.ban("2001:db8:1:2::/64")
    wide = bans.ban("198.51.0.0/16")
    client = staff("view_bannedip", "change_bannedip", "delete_bannedip")
    html = text_of(client.get(BANS))
    assert "192.0.2.7" not in html
    assert "in 192.0.2.0/24" in html
    assert "2001:db8:1:2" not in html
    assert "in 2001:db8:1::/48" in html
    assert "198.51.0.0/16" in html
    assert "delete_selected" not in html
    for what in ("change", "delete", "history"):
        assert client.get(f"{BANS}{ban.pk}/{what}/").status_code in {302, 403}
    assert client.get(f"{BANS}{wide.pk}/change/").status_code == 200
    assert results(client, "q=192.0.2.7") == set()
    assert results(client, "q=198.51.100.1") == {"198.51.0.0/16"}
    assert client.get(f"{BANS}?network__startswith=192.0.2.7").status_code in {302, 400}
    assert client.get(f"{BANS}export/").status_code == 403
    assert f"{BANS}export/" not in html


def test_who_may_only_look_sees_the_page_of_a_ban(staff):
    ban = bans.ban("192.0.2.7", "scrapes")
    html = text_of(staff("view_bannedip", "view_full_address").get(f"{BANS}{ban.pk}/change/"))
    assert "192.0.2.7" in html
    assert "confirmed" not in html


def test_without_the_permission_nothing_can_be_done(staff):
    client = staff("view_bannedip", "view_full_address")
    url = confirmation_url(admin.site, ["192.0.2.7"])
    assert client.get(url).status_code == 403
    assert client.post(url, {"network": "x"}).status_code == 403
    assert client.get(f"{BANS}import/").status_code == 403
    assert client.post(f"{BANS}import/", {"text": "192.0.2.7"}).status_code == 403
    assert client.get(f"{BANS}export/").status_code == 200
    assert f"{BANS}import/" not in text_of(client.get(BANS))


@pytest.mark.parametrize("name", ["import", "export", "confirm"])
def test_strangers_are_sent_to_the_login(client, name):
    assert "/login/" in client.get(f"{BANS}{name}/")["Location"]


def test_the_pages_are_protected_against_forged_requests(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(f"{BANS}confirm/", {"network": "x"}).status_code == 403
    assert client.post(f"{BANS}import/", {"text": "192.0.2.7"}).status_code == 403


def test_no_page_has_anything_inline(admin_client):
    bans.ban("192.0.2.7")
    pages = [
        admin_client.get(f"{BANS}import/"),
        admin_client.post(f"{BANS}import/", {"text": "192.0.2.8\nrubbish"}),
        admin_client.get(confirmation_url(admin.site, ["192.0.2.8"])),
    ]
    for response in pages:
        html = text_of(response)
        assert "style=" not in html
        assert "<style" not in html
        assert "onclick" not in html


def test_keywords_are_stripped_and_not_blank(admin_client):
    url = "/admin/tracking/untrackeduseragent/"
    assert "errorlist" in text_of(admin_client.post(f"{url}add/", {"keyword": "  "}))
    admin_client.post(f"{url}add/", {"keyword": " OurMonitor "})
    assert UntrackedUserAgent.objects.get().keyword == "OurMonitor"
    assert "OurMonitor" in text_of(admin_client.get(url))


def confirm(client, *networks, **values):
    tokens = [confirmation_url(admin.site, [network]).split("network=")[1] for network in networks]
    return text_of(client.post(f"{BANS}confirm/", {"network": tokens, **values}, follow=True))


@pytest.mark.parametrize("reason", ["[x]", "[1, 2]", '[{"added": 1}]', "[", "scrapes"])
def test_whatever_the_reason_the_history_can_be_read(admin_client, reason):
    confirm(admin_client, "192.0.2.0/24", reason=reason)
    confirm(admin_client, "192.0.2.0/24", reason=reason, replace="on")
    ban = BannedIP.objects.get()
    assert ban.reason == reason
    shown = text_of(admin_client.get(f"{BANS}{ban.pk}/history/"))
    assert "Added." in shown
    assert "Changed Reason and Expires at." in shown


def test_a_question_is_no_error(admin_client):
    from tracking.models import Visitor

    Visitor.objects.create(ip_address="192.0.2.7")
    shown = text_of(add_ban(admin_client, "192.0.2.7"))
    assert "Not saved yet. Please confirm." in shown
    assert "Please correct" not in shown
    shown = text_of(add_ban(admin_client, "rubbish"))
    assert "Please correct" in shown
    assert "Not saved yet. Please confirm." not in shown


def test_an_expiry_beyond_all_calendars_is_an_error_of_the_form(admin_client):
    far = {"expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"}
    assert "Enter a year from 1970 to 9998." in text_of(add_ban(admin_client, "192.0.2.7", **far))


def test_what_will_be_banned_is_shown_first(admin_client):
    shown = text_of(admin_client.get(confirmation_url(admin.site, ["127.0.0.1", "192.0.2.7"])))
    assert shown.index("Will be banned") < shown.index("Will not be banned")
