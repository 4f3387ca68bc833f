"""Bans: who is kept out of the site.

ban("192.0.2.0/24", reason="Scrapes the shop")
is_banned("192.0.2.7")            # True, from memory
"""

from tracking.bans.banning import ban, unban
from tracking.bans.networks import network_for, networks_around
from tracking.bans.preview import keeping_out, objections, visitors_by_network, visitors_hit
from tracking.bans.snapshot import is_banned

__all__ = [
    "ban",
    "is_banned",
    "keeping_out",
    "network_for",
    "networks_around",
    "objections",
    "unban",
    "visitors_by_network",
    "visitors_hit",
]
