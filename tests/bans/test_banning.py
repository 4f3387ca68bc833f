"""Ban and unban."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from tracking import bans
from tracking.models import BannedIP

TABLE = pytest.mark.django_db


@TABLE
def test_a_ban_is_made_once_and_brought_up_to_date():
    tomorrow = timezone.now() + timedelta(days=1)
    bans.ban("192.0.2.9/24", "first")
    bans.ban("192.0.2.0/24", "second", tomorrow)
    [ban] = BannedIP.objects.all()
    assert (ban.network, ban.reason, ban.expires_at) == ("192.0.2.0/24", "second", tomorrow)
    assert bans.unban(["192.0.2.77/24"]) == 1
    assert bans.unban(["192.0.2.0/24"]) == 0


@TABLE
@pytest.mark.parametrize(("network", "reason"), [("rubbish", ""), ("192.0.2.7", "x" * 201)])
def test_a_ban_that_makes_no_sense_is_refused(network, reason):
    with pytest.raises(ValidationError):
        bans.ban(network, reason)


@TABLE
def test_a_reason_with_nul_is_taken():
    assert bans.ban("192.0.2.7", "a\0b").reason == "a\N{REPLACEMENT CHARACTER}b"
