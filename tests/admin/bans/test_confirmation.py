"""The page that confirms bans of visitors."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import clear_url_caches
from django.utils import timezone

from tests.support.admin_pages import BANS, text_of
from tracking.admin.bans import confirmation, import_export_pages
from tracking.admin.bans.confirmation import ban_confirmation, can_ban, confirmation_url
from tracking.bans import bulk_ban
from tracking.models import BannedIP, Visitor

pytestmark = pytest.mark.django_db


def visitor(address):
    return Visitor.objects.create(ip_address=address)


def sealed(html):
    return [part.split('"')[0] for part in html.split('name="network" value="')[1:]]


def test_bans_are_confirmed_and_made(admin_client, admin_user):
    visitor("192.0.2.7")
    url = confirmation_url(admin.site, ["192.0.2.0/24", "198.51.100.1", "127.0.0.1"])
    html = text_of(admin_client.get(url))
    assert "192.0.2.0/24" in html
    assert '<td class="tracking-number">1</td>' in html
    assert "this would lock you out" in html
    tokens = sealed(html)
    assert len(tokens) == 2
    data = {"network": tokens, "reason": "scrapes", "days": "7"}
    html = text_of(admin_client.post(f"{BANS}confirm/", data, follow=True))
    assert "Banned 2 networks." in html
    assert {ban.network for ban in BannedIP.objects.all()} == {"192.0.2.0/24", "198.51.100.1"}
    ban = BannedIP.objects.first()
    assert ban.reason == "scrapes"
    assert abs(ban.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert LogEntry.objects.filter(user=admin_user).count() == 2


def test_what_is_refused_stays_refused_when_it_is_sent_by_hand(admin_client):
    url = confirmation_url(admin.site, ["127.0.0.1"])
    html = text_of(admin_client.post(url.split("?")[0], {"network": _token(url)}, follow=True))
    assert "127.0.0.1 is not banned." in html
    assert not BannedIP.objects.exists()


def _token(url):
    return url.split("network=")[1]


@pytest.mark.parametrize("network", ["", "rubbish", "192.0.2.7", "\0", "x" * 10_000])
def test_only_networks_that_were_offered_are_banned(admin_client, network):
    html = text_of(admin_client.post(f"{BANS}confirm/", {"network": network}, follow=True))
    assert "There is nothing to ban." in html
    assert not BannedIP.objects.exists()


def test_a_reason_that_is_too_long_is_asked_for_again(admin_client):
    token = _token(confirmation_url(admin.site, ["192.0.2.7"]))
    for wrong in ({"reason": "x" * 201}, {"days": "99"}, {"reason": "\0"}):
        html = text_of(admin_client.post(f"{BANS}confirm/", {"network": token, **wrong}))
        assert "errorlist" in html
    assert not BannedIP.objects.exists()


def test_who_sees_addresses_masked_bans_them_unseen(staff):
    visitor("192.0.2.7")
    client = staff("add_bannedip")
    url = confirmation_url(admin.site, ["192.0.2.7", "198.51.100.0/24"])
    assert "192.0.2.7" not in url
    html = text_of(client.get(url))
    assert "192.0.2.7" not in html
    assert "in 192.0.2.0/24" in html
    # How many would be hit is told of the wide one only.
    assert html.count('<td class="tracking-number">0</td>') == 1
    assert '<td class="tracking-number">1</td>' not in html
    response = client.post(f"{BANS}confirm/", {"network": sealed(html)})
    assert response["Location"] == "/admin/"
    assert BannedIP.objects.filter(network="192.0.2.7").exists()
    assert "192.0.2.7" not in text_of(client.get("/admin/"))


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


def take_in(client, text, **values):
    return text_of(
        client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban", **values}, follow=True)
    )


def test_a_list_that_was_shown_can_be_confirmed(admin_client, monkeypatch):
    monkeypatch.setattr(import_export_pages, "MAX_IMPORT", 1_000)
    text = "\n".join(f"192.0.2.{n}" for n in range(90))
    assert 940 < len(text) < 1_000 < len(text.replace("\n", "\r\n"))
    file = SimpleUploadedFile("list.csv", text.encode())
    text_of(admin_client.post(f"{BANS}import/", {"file": file}))
    take_in(admin_client, text.replace("\n", "\r\n"))
    assert BannedIP.objects.count() == 90


def test_what_is_banned_already_is_asked_for_once(admin_client, monkeypatch):
    asked = []
    known = bulk_ban.active_bans

    def counted(*arguments):
        asked.append(arguments)
        return known(*arguments)

    monkeypatch.setattr(bulk_ban, "active_bans", counted)
    text_of(admin_client.post(f"{BANS}import/", {"text": "192.0.2.7\n192.0.2.8"}))
    assert len(asked) == 1


@pytest.fixture
def own_admin():
    """The site has a ModelAdmin of its own for bans, for the length of a test."""
    ours = admin.site._registry[BannedIP]
    admin.site.unregister(BannedIP)
    admin.site.register(BannedIP, admin.ModelAdmin)
    _forget_urls()
    yield
    admin.site._registry[BannedIP] = ours
    _forget_urls()


def _forget_urls():
    import importlib

    import tests.urls

    clear_url_caches()
    importlib.reload(tests.urls)


def test_without_our_pages_nothing_offers_to_ban(own_admin, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    assert not can_ban(request, admin.site)
    with pytest.raises(PermissionDenied):
        ban_confirmation(request, admin.site, ["192.0.2.7"], title="Ban these")


def test_who_may_ban(rf, admin_user, django_user_model):
    request = rf.get("/")
    request.user = admin_user
    assert can_ban(request, admin.site)
    assert not can_ban(request, admin.AdminSite("elsewhere"))
    request.user = django_user_model.objects.create_user("staff", is_staff=True)
    assert not can_ban(request, admin.site)
    request.user.user_permissions.add(Permission.objects.get(codename="add_bannedip"))
    request.user = django_user_model.objects.get(pk=request.user.pk)
    assert can_ban(request, admin.site)
