"""Ban and unban addresses and networks from Python."""

from collections.abc import Iterable
from datetime import datetime

from tracking.db.column_values import replace_nul
from tracking.models import BannedIP


def ban(network: str, reason: str = "", expires_at: datetime | None = None) -> BannedIP:
    """Ban an address or a network. An existing ban gets the new reason and expiry.

    Args:
        network: an address or a network in CIDR notation.
        reason: shown in the list of bans; at most 200 characters.
        expires_at: when the ban ends (aware), or ``None`` for never.

    Raises:
        django.core.exceptions.ValidationError: ``network`` is neither, the reason is too long, or
            the expiry is too far away.
    """
    wanted = BannedIP(network=network, reason=replace_nul(reason), expires_at=expires_at)
    wanted.clean_fields()
    banned, _is_new = BannedIP.objects.update_or_create(
        network=wanted.network,
        defaults={"reason": wanted.reason, "expires_at": wanted.expires_at},
    )
    return banned


def unban(networks: Iterable[str]) -> int:
    """Delete the bans of exactly these networks, and return how many were deleted.

    Args:
        networks: addresses and networks. Bans of wider networks stay.

    Raises:
        django.core.exceptions.ValidationError: one of them is neither an address nor a network.
    """
    deleted, _by_model = BannedIP.objects.filter(network__in=list(networks)).delete()
    return deleted
