"""Which bans the current user may know of and change.

To users who may not view full addresses, a ban of a narrow network must stay secret: that an
address is banned already would reveal it.
"""

from collections.abc import Callable

from django.http import HttpRequest

from tracking.admin.masking import is_coarse, may_view_full_addresses
from tracking.bans.bulk_ban import ExistingBanPolicy


def may_change_bans(request: HttpRequest) -> bool:
    """Return whether the user may change bans. To ban a banned network again is a change."""
    return request.user.has_perm("tracking.change_bannedip")


def ban_visibility(request: HttpRequest) -> Callable[[str], bool]:
    """Return a function that returns whether the user may know if a network is banned."""
    full = may_view_full_addresses(request)
    return lambda network: full or is_coarse(network)


def existing_ban_policy(
    request: HttpRequest, *, replace: bool
) -> Callable[[str], ExistingBanPolicy]:
    """Return a function that returns what happens to the existing ban of a network.

    Args:
        request: the current request.
        replace: whether to replace reason and expiry, even if that shortens the ban.
    """
    may_change, is_visible = may_change_bans(request), ban_visibility(request)
    changed = ExistingBanPolicy.REPLACE if replace else ExistingBanPolicy.EXTEND
    return lambda network: changed if may_change and is_visible(network) else ExistingBanPolicy.KEEP
