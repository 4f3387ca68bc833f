"""Who may do what with a ban that exists, and who is told that it does."""

import html
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import clear_url_caches
from django.utils import timezone

from tracking import bans
from tracking.admin.bans import import_export_pages
from tracking.admin.bans.confirmation import ban_confirmation, can_ban, confirmation_url
from tracking.bans import import_export
from tracking.models import BannedIP

pytestmark = pytest.mark.django_db

BANS = "/admin/tracking/bannedip/"
PAST = "2001-01-01T00:00:00+00:00"
SOON = "2090-01-01T00:00:00+00:00"


def page(response):
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def confirm(client, *networks, **values):
    tokens = [confirmation_url(admin.site, [network]).split("network=")[1] for network in networks]
    return page(client.post(f"{BANS}confirm/", {"network": tokens, **values}, follow=True))


def take_in(client, text, **values):
    return page(
        client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban", **values}, follow=True)
    )


def add(client, network, **values):
    data = {"network": network, "reason": "", "expires_at_0": "", "expires_at_1": "", **values}
    return client.post(f"{BANS}add/", data)


def state(network="192.0.2.0/24"):
    ban = BannedIP.objects.get(network=network)
    return ban.reason, ban.expires_at


ADDER = ("add_bannedip", "view_bannedip", "view_full_address")
CHANGER = (*ADDER, "change_bannedip")


# Bans that exist.


@pytest.mark.parametrize("expiry", [PAST, SOON, ""])
@pytest.mark.parametrize("replace", [{}, {"replace": "on"}])
def test_an_import_by_who_may_only_add_leaves_bans_as_they_are(staff, expiry, replace):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff(*ADDER)
    text = f"192.0.2.0/24,mine,{expiry}\n198.51.100.1"
    shown = page(client.post(f"{BANS}import/", {"text": text}))
    assert ("over before it begins" if expiry == PAST else "stays as it is") in shown
    assert 'name="replace"' not in shown
    said = take_in(client, text, **replace)
    assert "1 network is banned." in said
    if expiry != PAST:
        assert "1 was banned already, and stays as it was: 192.0.2.0/24" in said
    assert state() == ("for good reason", None)
    assert state("198.51.100.1") == ("", None)


@pytest.mark.parametrize("replace", [{}, {"replace": "on"}])
def test_a_confirmation_by_who_may_only_add_leaves_bans_as_they_are(staff, replace):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff(*ADDER)
    shown = page(client.get(confirmation_url(admin.site, ["192.0.2.0/24", "198.51.100.1"])))
    assert "These are banned already, and stay as they are" in shown
    assert "for ever: for good reason" in shown
    assert shown.count('name="network"') == 1
    said = confirm(client, "192.0.2.0/24", days="1", **replace)
    assert "stays as it was: 192.0.2.0/24" in said
    assert "is banned." not in said
    assert state() == ("for good reason", None)


def test_the_reason_of_a_ban_is_for_who_may_see_bans(staff):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff("add_bannedip", "view_full_address")
    assert "good reason" not in page(client.get(confirmation_url(admin.site, ["192.0.2.0/24"])))
    assert "good reason" not in page(client.post(f"{BANS}import/", {"text": "192.0.2.0/24"}))


def test_a_ban_that_is_over_is_made_anew_by_who_may_add(staff):
    bans.ban("192.0.2.0/24", "old", timezone.now() - timedelta(days=1))
    assert "1 network is banned." in confirm(staff(*ADDER), "192.0.2.0/24", reason="new")
    assert state() == ("new", None)


def test_who_may_change_prolongs_unless_they_say_otherwise(staff):
    client = staff(*CHANGER)
    bans.ban("192.0.2.0/24", "old", timezone.now() + timedelta(days=20))
    shown = page(client.get(confirmation_url(admin.site, ["192.0.2.0/24"])))
    assert 'name="replace"' in shown
    confirm(client, "192.0.2.0/24", days="7", reason="new")
    reason, ends = state()
    assert reason == "old"
    assert ends > timezone.now() + timedelta(days=19)
    take_in(client, f"192.0.2.0/24,new,{SOON}")
    reason, ends = state()
    assert (reason, ends.year) == ("old", 2090)
    take_in(client, "192.0.2.0/24,new")
    assert state() == ("old", None)
    confirm(client, "192.0.2.0/24", days="7", reason="new")
    assert state() == ("old", None)
    confirm(client, "192.0.2.0/24", days="7", reason="new", replace="on")
    reason, ends = state()
    assert reason == "new"
    assert ends < timezone.now() + timedelta(days=8)
    take_in(client, "192.0.2.0/24,imported", replace="on")
    assert state() == ("imported", None)


def test_without_a_ban_that_exists_there_is_nothing_to_replace(staff):
    assert 'name="replace"' not in page(
        staff(*CHANGER).get(confirmation_url(admin.site, ["192.0.2.0/24"]))
    )


# Who sees addresses masked.


@pytest.fixture
def masked(staff):
    return staff("add_bannedip", "view_bannedip", "change_bannedip")


@pytest.mark.parametrize("extra", [{}, {"_continue": "1"}, {"_addanother": "1"}, {"_popup": "1"}])
def test_adding_tells_who_must_not_know_nothing(masked, extra):
    bans.ban("192.0.2.7", "for good reason")
    answers = []
    for network in ("192.0.2.7", "192.0.2.8"):
        response = add(masked, network, **extra)
        assert response.status_code == 302
        said = page(masked.get(response["Location"]))
        assert f"{network} is banned." in said
        answers.append((response["Location"], LogEntry.objects.latest("pk").object_id))
    assert answers[0] == answers[1] == (BANS, None)
    assert state("192.0.2.7") == ("for good reason", None)
    assert state("192.0.2.8") == ("", None)
    # Of what is seen by everybody anyway, it may be said.
    bans.ban("198.51.0.0/16")
    assert "already exists" in page(add(masked, "198.51.0.0/16"))


def test_a_wide_ban_is_not_narrowed_to_ask_for_an_address(masked):
    wide = bans.ban("198.51.0.0/16")
    bans.ban("192.0.2.7")
    said = [
        page(masked.post(f"{BANS}{wide.pk}/change/", {"network": network, "reason": ""}))
        for network in ("192.0.2.7", "192.0.2.8")
    ]
    assert all("Only who may see whole addresses" in one for one in said)
    assert not any("already" in one for one in said)


def test_import_and_confirmation_tell_who_must_not_know_nothing(masked):
    bans.ban("192.0.2.7", "for good reason")
    shown = page(masked.post(f"{BANS}import/", {"text": "192.0.2.7\n192.0.2.8"}))
    assert "2 networks will be banned." in shown
    assert "2 networks are banned." in take_in(masked, "192.0.2.7\n192.0.2.8", replace="on")
    assert "2 networks are banned." in confirm(masked, "192.0.2.7", "192.0.2.9", replace="on")
    assert state("192.0.2.7") == ("for good reason", None)
    lines = LogEntry.objects.values_list("action_flag", "object_id", "object_repr")
    assert len(set(lines[:2])) == 1


def test_addresses_that_look_the_same_are_one_line(masked):
    networks = ["192.0.2.7", "192.0.2.8", "198.51.100.0/24"]
    shown = page(masked.get(confirmation_url(admin.site, networks)))
    assert shown.count("in 192.0.2.0/24") == 1
    assert "(2 addresses)" in shown
    assert shown.count('name="network"') == 3


# The log.


@pytest.mark.parametrize("reason", ["[x]", "[1, 2]", '[{"added": 1}]', "[", "scrapes"])
def test_whatever_the_reason_the_history_can_be_read(admin_client, reason):
    confirm(admin_client, "192.0.2.0/24", reason=reason)
    confirm(admin_client, "192.0.2.0/24", reason=reason, replace="on")
    ban = BannedIP.objects.get()
    assert ban.reason == reason
    shown = page(admin_client.get(f"{BANS}{ban.pk}/history/"))
    assert "Added." in shown
    assert "Changed Reason and Expires at." in shown


def test_an_import_is_one_line_of_the_log(admin_client):
    bans.ban("192.0.2.7")
    take_in(admin_client, "192.0.2.7\n192.0.2.8\nrubbish")
    [line] = LogEntry.objects.all()
    assert line.object_repr == "2 imported networks"
    assert line.get_change_message() == "Added."
    assert "2 imported networks" in page(admin_client.get("/admin/"))
    take_in(admin_client, "rubbish")
    assert LogEntry.objects.count() == 1


# Long lists.


def test_a_list_that_was_shown_can_be_confirmed(admin_client, monkeypatch):
    monkeypatch.setattr(import_export_pages, "MAX_IMPORT", 1_000)
    text = "\n".join(f"192.0.2.{n}" for n in range(90))
    assert 940 < len(text) < 1_000 < len(text.replace("\n", "\r\n"))
    file = SimpleUploadedFile("list.csv", text.encode())
    page(admin_client.post(f"{BANS}import/", {"file": file}))
    take_in(admin_client, text.replace("\n", "\r\n"))
    assert BannedIP.objects.count() == 90


def test_what_is_banned_already_is_asked_for_once(admin_client, monkeypatch):
    asked = []
    known = import_export.known

    def counted(*arguments):
        asked.append(arguments)
        return known(*arguments)

    monkeypatch.setattr(import_export, "known", counted)
    page(admin_client.post(f"{BANS}import/", {"text": "192.0.2.7\n192.0.2.8"}))
    assert len(asked) == 1


# Asking, and answering.


def test_a_question_is_no_error(admin_client):
    from tracking.models import Visitor

    Visitor.objects.create(ip_address="192.0.2.7")
    shown = page(add(admin_client, "192.0.2.7"))
    assert "is this meant?" in shown
    assert "Please correct" not in shown
    shown = page(add(admin_client, "rubbish"))
    assert "Please correct" in shown
    assert "is this meant?" not in shown


def test_an_end_beyond_all_calendars_is_told_in_the_form(admin_client):
    far = {"expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"}
    assert "Give a year from 1970 to 9998." in page(add(admin_client, "192.0.2.7", **far))


def test_what_will_be_banned_is_shown_first(admin_client):
    shown = page(admin_client.get(confirmation_url(admin.site, ["127.0.0.1", "192.0.2.7"])))
    assert shown.index("These will be banned") < shown.index("These will not be banned")


# Sites that show bans in their own way.


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
