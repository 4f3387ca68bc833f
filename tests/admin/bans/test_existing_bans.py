"""Permissions to change and to see existing bans."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.support.admin_pages import BANS, add_ban, text_of
from tracking import bans
from tracking.admin.bans.confirmation import confirmation_url
from tracking.models import BannedIP

pytestmark = pytest.mark.django_db

PAST = "2001-01-01T00:00:00+00:00"

SOON = "2090-01-01T00:00:00+00:00"


def confirm(client, *networks, **values):
    tokens = [confirmation_url(admin.site, [network]).split("network=")[1] for network in networks]
    return text_of(client.post(f"{BANS}confirm/", {"network": tokens, **values}, follow=True))


def take_in(client, text, **values):
    return text_of(
        client.post(f"{BANS}import/", {"text": text, "confirmed": "Ban", **values}, follow=True)
    )


def state(network="192.0.2.0/24"):
    ban = BannedIP.objects.get(network=network)
    return ban.reason, ban.expires_at


ADDER = ("add_bannedip", "view_bannedip", "view_full_address")

CHANGER = (*ADDER, "change_bannedip")


@pytest.mark.parametrize("expiry", [PAST, SOON, ""])
@pytest.mark.parametrize("replace", [{}, {"replace": "on"}])
def test_an_import_by_who_may_only_add_leaves_bans_as_they_are(staff, expiry, replace):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff(*ADDER)
    text = f"192.0.2.0/24,mine,{expiry}\n198.51.100.1"
    shown = text_of(client.post(f"{BANS}import/", {"text": text}))
    assert ("expiry is in the past" if expiry == PAST else "and will not change") in shown
    assert 'name="replace"' not in shown
    said = take_in(client, text, **replace)
    assert "Banned 1 network." in said
    if expiry != PAST:
        assert "1 network was already banned and did not change: 192.0.2.0/24" in said
    assert state() == ("for good reason", None)
    assert state("198.51.100.1") == ("", None)


@pytest.mark.parametrize("replace", [{}, {"replace": "on"}])
def test_a_confirmation_by_who_may_only_add_leaves_bans_as_they_are(staff, replace):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff(*ADDER)
    shown = text_of(client.get(confirmation_url(admin.site, ["192.0.2.0/24", "198.51.100.1"])))
    assert "Already banned, will not change" in shown
    assert "permanently: for good reason" in shown
    assert shown.count('name="network"') == 1
    said = confirm(client, "192.0.2.0/24", days="1", **replace)
    assert "did not change: 192.0.2.0/24" in said
    assert "Banned 1 network" not in said
    assert state() == ("for good reason", None)


def test_the_reason_of_a_ban_is_for_who_may_see_bans(staff):
    bans.ban("192.0.2.0/24", "for good reason")
    client = staff("add_bannedip", "view_full_address")
    assert "good reason" not in text_of(client.get(confirmation_url(admin.site, ["192.0.2.0/24"])))
    assert "good reason" not in text_of(client.post(f"{BANS}import/", {"text": "192.0.2.0/24"}))


def test_a_ban_that_is_over_is_made_anew_by_who_may_add(staff):
    bans.ban("192.0.2.0/24", "old", timezone.now() - timedelta(days=1))
    assert "Banned 1 network." in confirm(staff(*ADDER), "192.0.2.0/24", reason="new")
    assert state() == ("new", None)


def test_who_may_change_prolongs_unless_they_say_otherwise(staff):
    client = staff(*CHANGER)
    bans.ban("192.0.2.0/24", "old", timezone.now() + timedelta(days=20))
    shown = text_of(client.get(confirmation_url(admin.site, ["192.0.2.0/24"])))
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
    assert 'name="replace"' not in text_of(
        staff(*CHANGER).get(confirmation_url(admin.site, ["192.0.2.0/24"]))
    )


@pytest.fixture
def masked(staff):
    return staff("add_bannedip", "view_bannedip", "change_bannedip")


@pytest.mark.parametrize("extra", [{}, {"_continue": "1"}, {"_addanother": "1"}, {"_popup": "1"}])
def test_adding_reveals_nothing_without_permission(masked, extra):
    bans.ban("192.0.2.7", "for good reason")
    answers = []
    for network in ("192.0.2.7", "192.0.2.8"):
        response = add_ban(masked, network, **extra)
        assert response.status_code == 302
        said = text_of(masked.get(response["Location"]))
        assert f"{network} is now banned." in said
        answers.append((response["Location"], LogEntry.objects.latest("pk").object_id))
    assert answers[0] == answers[1] == (BANS, None)
    assert state("192.0.2.7") == ("for good reason", None)
    assert state("192.0.2.8") == ("", None)
    # Of what is seen by everybody anyway, it may be said.
    bans.ban("198.51.0.0/16")
    assert "already exists" in text_of(add_ban(masked, "198.51.0.0/16"))


def test_a_wide_ban_is_not_narrowed_to_ask_for_an_address(masked):
    wide = bans.ban("198.51.0.0/16")
    bans.ban("192.0.2.7")
    said = [
        text_of(masked.post(f"{BANS}{wide.pk}/change/", {"network": network, "reason": ""}))
        for network in ("192.0.2.7", "192.0.2.8")
    ]
    assert all("You need permission to view full IP addresses" in one for one in said)
    assert not any("already" in one for one in said)


def test_import_and_confirmation_reveal_nothing_without_permission(masked):
    bans.ban("192.0.2.7", "for good reason")
    shown = text_of(masked.post(f"{BANS}import/", {"text": "192.0.2.7\n192.0.2.8"}))
    assert "2 networks will be banned." in shown
    assert "Banned 2 networks." in take_in(masked, "192.0.2.7\n192.0.2.8", replace="on")
    assert "Banned 2 networks." in confirm(masked, "192.0.2.7", "192.0.2.9", replace="on")
    assert state("192.0.2.7") == ("for good reason", None)
    lines = LogEntry.objects.values_list("action_flag", "object_id", "object_repr")
    assert len(set(lines[:2])) == 1


def test_addresses_that_look_the_same_are_one_line(masked):
    networks = ["192.0.2.7", "192.0.2.8", "198.51.100.0/24"]
    shown = text_of(masked.get(confirmation_url(admin.site, networks)))
    assert shown.count("in 192.0.2.0/24") == 1
    assert "(2 addresses)" in shown
    assert shown.count('name="network"') == 3
