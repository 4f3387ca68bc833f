"""Bans: addresses and networks that may not use the site.

ban("192.0.2.0/24", reason="Scrapes the shop")
is_banned("192.0.2.7")            # True
"""

from tracking.bans.banning import ban, unban
from tracking.bans.coverage import find_wide_coverage
from tracking.bans.networks import containing_networks, network_to_ban
from tracking.bans.preview import (
    bans_covering,
    count_affected_by_network,
    count_affected_visitors,
    find_objections,
)
from tracking.bans.snapshot import is_banned, is_in_snapshot

__all__ = [
    "ban",
    "bans_covering",
    "containing_networks",
    "count_affected_by_network",
    "count_affected_visitors",
    "find_objections",
    "find_wide_coverage",
    "is_banned",
    "is_in_snapshot",
    "network_to_ban",
    "unban",
]
