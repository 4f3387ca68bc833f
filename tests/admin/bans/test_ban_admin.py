from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from tracking import bans
from tracking.admin.bans import confirmation, import_export_pages
from tracking.admin.bans.confirmation import ban_confirmation, confirmation_url
from tracking.caching import snapshots
from tracking.models import BannedIP, UntrackedUserAgent, Visitor

pytestmark = pytest.mark.django_db

BANS = "/admin/tracking/bannedip/"


def page(response):
    assert response.status_code == 200
    return unescape(response.content.decode())


def add(client, network, **values):
    data = {"network": network, "reason": "", "expires_at_0": "", "expires_at_1": "", **values}
    return client.post(f"{BANS}add/", data)


def visitor(address):
    return Visitor.objects.create(ip_address=address)


def test_the_list_shows_what_is_banned_and_how_long(admin_client):
    bans.ban("192.0.2.0/24", "scrapes", timezone.now() + timedelta(days=3, hours=1))
    bans.ban("192.0.2.7", "", timezone.now() - timedelta(days=3))
    bans.ban("2001:db8::/32")
    html = page(admin_client.get(BANS)).replace("\xa0", " ")
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
    assert add(admin_client, "192.0.2.9/24", reason="scrapes").status_code == 302
    ban = BannedIP.objects.get()
    assert (ban.network, ban.reason) == ("192.0.2.0/24", "scrapes")
    html = page(admin_client.get(f"{BANS}{ban.pk}/change/"))
    assert "192.0.2.0/24" in html
    admin_client.post(f"{BANS}{ban.pk}/change/", {"network": "192.0.2.0/24", "reason": "new"})
    ban.refresh_from_db()
    assert ban.reason == "new"


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("127.0.0.1", "this would keep out yourself"),
        ("127.0.0.0/8", "this would keep out yourself"),
        ("10.1.1.1", "is a proxy of this site"),
        ("0.0.0.0/0", "is everybody"),
        ("rubbish", "neither an IP address nor a network"),
    ],
)
def test_nobody_bans_oneself_nor_the_proxies_nor_everybody(admin_client, settings, network, why):
    settings.TRACKING_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert why in page(add(admin_client, network))
    assert not BannedIP.objects.exists()


def test_a_ban_that_hits_visitors_is_confirmed_first(admin_client):
    for _ in range(3):
        visitor("192.0.2.7")
    assert 'type="checkbox" name="confirmed"' not in page(admin_client.get(f"{BANS}add/"))
    html = page(add(admin_client, "192.0.2.0/24"))
    assert "3 visitors who are on the site now would be kept out." in html
    assert 'type="checkbox" name="confirmed"' in html
    assert not BannedIP.objects.exists()
    assert add(admin_client, "192.0.2.0/24", confirmed="on").status_code == 302
    [ban] = BannedIP.objects.all()
    # Only who is kept out is asked about, not each other change.
    response = admin_client.post(
        f"{BANS}{ban.pk}/change/", {"network": "192.0.2.0/24", "reason": "new"}
    )
    assert response.status_code == 302


def test_confirming_does_not_overrule_an_objection(admin_client):
    assert "yourself" in page(add(admin_client, "127.0.0.1", confirmed="on"))


def test_a_ban_in_the_past_is_refused_but_may_end_an_old_one(admin_client):
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "over before it begins" in page(add(admin_client, "192.0.2.7", **past))
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


# Who may see what.


def test_addresses_are_masked_for_who_may_not_see_them(staff):
    ban = bans.ban("192.0.2.7", "scrapes")
    bans.ban("2001:db8:1:2::/64")
    wide = bans.ban("198.51.0.0/16")
    client = staff("view_bannedip", "change_bannedip", "delete_bannedip")
    html = page(client.get(BANS))
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
    html = page(staff("view_bannedip", "view_full_address").get(f"{BANS}{ban.pk}/change/"))
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
    assert f"{BANS}import/" not in page(client.get(BANS))


@pytest.mark.parametrize("name", ["import", "export", "confirm"])
def test_strangers_are_sent_to_the_login(client, name):
    assert "/login/" in client.get(f"{BANS}{name}/")["Location"]


def test_the_pages_are_protected_against_forged_requests(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(f"{BANS}confirm/", {"network": "x"}).status_code == 403
    assert client.post(f"{BANS}import/", {"text": "192.0.2.7"}).status_code == 403


# The confirmation.


def sealed(html):
    return [part.split('"')[0] for part in html.split('name="network" value="')[1:]]


def test_bans_are_confirmed_and_made(admin_client, admin_user):
    visitor("192.0.2.7")
    url = confirmation_url(admin.site, ["192.0.2.0/24", "198.51.100.1", "127.0.0.1"])
    html = page(admin_client.get(url))
    assert "192.0.2.0/24" in html
    assert '<td class="tracking-number">1</td>' in html
    assert "this would keep out yourself" in html
    tokens = sealed(html)
    assert len(tokens) == 2
    data = {"network": tokens, "reason": "scrapes", "days": "7"}
    html = page(admin_client.post(f"{BANS}confirm/", data, follow=True))
    assert "2 networks are banned." in html
    assert {ban.network for ban in BannedIP.objects.all()} == {"192.0.2.0/24", "198.51.100.1"}
    ban = BannedIP.objects.first()
    assert ban.reason == "scrapes"
    assert abs(ban.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert LogEntry.objects.filter(user=admin_user).count() == 2


def test_what_is_refused_stays_refused_when_it_is_sent_by_hand(admin_client):
    url = confirmation_url(admin.site, ["127.0.0.1"])
    html = page(admin_client.post(url.split("?")[0], {"network": _token(url)}, follow=True))
    assert "127.0.0.1 is not banned." in html
    assert not BannedIP.objects.exists()


def _token(url):
    return url.split("network=")[1]


@pytest.mark.parametrize("network", ["", "rubbish", "192.0.2.7", "\0", "x" * 10_000])
def test_only_networks_that_were_offered_are_banned(admin_client, network):
    html = page(admin_client.post(f"{BANS}confirm/", {"network": network}, follow=True))
    assert "There is nothing to ban." in html
    assert not BannedIP.objects.exists()


def test_a_reason_that_is_too_long_is_asked_for_again(admin_client):
    token = _token(confirmation_url(admin.site, ["192.0.2.7"]))
    for wrong in ({"reason": "x" * 201}, {"days": "99"}, {"reason": "\0"}):
        html = page(admin_client.post(f"{BANS}confirm/", {"network": token, **wrong}))
        assert "errorlist" in html
    assert not BannedIP.objects.exists()


def test_who_sees_addresses_masked_bans_them_unseen(staff):
    visitor("192.0.2.7")
    client = staff("add_bannedip")
    url = confirmation_url(admin.site, ["192.0.2.7", "198.51.100.0/24"])
    assert "192.0.2.7" not in url
    html = page(client.get(url))
    assert "192.0.2.7" not in html
    assert "in 192.0.2.0/24" in html
    # How many would be hit is told of the wide one only.
    assert html.count('<td class="tracking-number">0</td>') == 1
    assert '<td class="tracking-number">1</td>' not in html
    response = client.post(f"{BANS}confirm/", {"network": sealed(html)})
    assert response["Location"] == "/admin/"
    assert BannedIP.objects.filter(network="192.0.2.7").exists()
    assert "192.0.2.7" not in page(client.get("/admin/"))


def test_as_the_answer_of_an_action(rf, admin_user, django_user_model):
    request = rf.post("/")
    request.user = admin_user
    networks = [f"198.51.{n // 256}.{n % 256}" for n in range(300)]
    response = ban_confirmation(request, admin.site, networks, title="Ban the visitors")
    html = response.render().content.decode()
    assert "Ban the visitors" in html
    assert f"more than {confirmation.MAX_NETWORKS} networks" in html
    assert len(sealed(html)) == confirmation.MAX_NETWORKS
    request.user = django_user_model.objects.create_user("staff", is_staff=True)
    with pytest.raises(PermissionDenied):
        ban_confirmation(request, admin.site, networks, title="Ban the visitors")


# Import and export.


def test_an_import_is_shown_before_it_is_done(admin_client):
    bans.ban("192.0.2.7")
    visitor("192.0.2.8")
    text = "192.0.2.7\n192.0.2.8,scrapes\n<b>rubbish\n127.0.0.1\n"
    assert page(admin_client.get(f"{BANS}import/"))
    file = SimpleUploadedFile("list.csv", text.encode())
    html = admin_client.post(f"{BANS}import/", {"file": file}).content.decode()
    for expected in (
        "1 network will be banned.",
        "1 is in the list already",
        "1 visitor who is on the site now will be kept out.",
        "1 line cannot be read",
        "&lt;b&gt;rubbish",
        "this would keep out yourself",
    ):
        assert expected in html
    assert BannedIP.objects.count() == 1
    hidden = unescape(html.split('name="text" value="')[1].split('"')[0])
    admin_client.post(f"{BANS}import/", {"text": hidden, "confirmed": "Ban"})
    assert set(BannedIP.objects.values_list("network", "reason")) == {
        ("192.0.2.7", ""),
        ("192.0.2.8", "scrapes"),
    }


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"x" * (import_export_pages.MAX_IMPORT + 1), b"  \n "]
)
def test_what_is_no_list_is_refused(admin_client, content):
    file = SimpleUploadedFile("list.csv", content)
    assert "errorlist" in page(admin_client.post(f"{BANS}import/", {"file": file}))


def test_hostile_lists_are_shown_as_what_they_are(admin_client):
    for data in (
        {"text": "192.0.2.7\0"},
        {"text": "x" * (import_export_pages.MAX_IMPORT + 1)},
        {"file": SimpleUploadedFile("list.csv", b"192.0.2.7\0\n'" + b'"' * 5_000)},
    ):
        page(admin_client.post(f"{BANS}import/", data))
    assert not BannedIP.objects.exists()


def test_an_import_does_not_tell_single_addresses(staff):
    bans.ban("192.0.2.7")
    visitor("192.0.2.7")
    html = page(staff("add_bannedip").post(f"{BANS}import/", {"text": "192.0.2.7"}))
    assert "1 network will be banned." in html
    assert "already" not in html
    assert "0 visitors" in html


def test_what_is_exported_can_be_imported(admin_client):
    bans.ban("192.0.2.7", "=1+1")
    response = admin_client.get(f"{BANS}export/")
    assert response["Content-Disposition"] == 'attachment; filename="bans.csv"'
    text = b"".join(response.streaming_content).decode()
    assert "'=1+1" in text
    BannedIP.objects.all().delete()
    admin_client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban"})
    assert BannedIP.objects.get().reason == "=1+1"


def test_no_page_has_anything_inline(admin_client):
    bans.ban("192.0.2.7")
    pages = [
        admin_client.get(f"{BANS}import/"),
        admin_client.post(f"{BANS}import/", {"text": "192.0.2.8\nrubbish"}),
        admin_client.get(confirmation_url(admin.site, ["192.0.2.8"])),
    ]
    for response in pages:
        html = page(response)
        assert "style=" not in html
        assert "<style" not in html
        assert "onclick" not in html


# Untracked user agents.


def test_keywords_are_stripped_and_not_blank(admin_client):
    url = "/admin/tracking/untrackeduseragent/"
    assert "errorlist" in page(admin_client.post(f"{url}add/", {"keyword": "  "}))
    admin_client.post(f"{url}add/", {"keyword": " OurMonitor "})
    assert UntrackedUserAgent.objects.get().keyword == "OurMonitor"
    assert "OurMonitor" in page(admin_client.get(url))
